package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResponsesRequestTest {
    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text.replace('\'', '"')), text);
    }

    private static ResponsesRequest parse(String fields) throws InvalidField {
        return ResponsesRequest.parse(json("{" + fields + "}"));
    }

    private static ObjectNode chat(String fields) throws InvalidField {
        return parse(fields).chat(List.of());
    }

    /** Each request becomes exactly this chat. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            'input':'Hi' | {'messages':[{'role':'user','content':'Hi'}]}
            'model':'m','input':'Hi','instructions':'Be brief.' | {'model':'m','messages':[{'role':'system','content':'Be brief.'},{'role':'user','content':'Hi'}]}
            'input':[{'role':'developer','content':'D'},{'role':'user','content':[{'type':'input_text','text':'Hi'}]}] | {'messages':[{'role':'developer','content':'D'},{'role':'user','content':'Hi'}]}
            'input':[{'type':'message','role':'user','content':[{'type':'input_text','text':'What?'},{'type':'input_image','image_url':'data:image/png;base64,AA==','detail':'low'}]}] | {'messages':[{'role':'user','content':[{'type':'text','text':'What?'},{'type':'image_url','image_url':{'url':'data:image/png;base64,AA==','detail':'low'}}]}]}
            'input':[{'role':'user','content':[{'type':'input_file','file_data':'data:x','filename':'a.pdf'}]}] | {'messages':[{'role':'user','content':[{'type':'file','file':{'file_data':'data:x','filename':'a.pdf'}}]}]}
            'input':[{'role':'user','content':'a'},{'type':'message','id':'msg_1','role':'assistant','status':'completed','content':[{'type':'output_text','text':'b','annotations':[]}]},{'role':'user','content':'c'}] | {'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'},{'role':'user','content':'c'}]}
            'input':[{'role':'user','content':'a'},{'role':'assistant','content':[{'type':'refusal','refusal':'No.'}]},{'role':'user','content':'b'}] | {'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'','refusal':'No.'},{'role':'user','content':'b'}]}
            'input':[{'role':'user','content':'a'},{'type':'reasoning','id':'rs_1','summary':[]},{'type':'function_call','call_id':'c1','name':'f','arguments':'{}'},{'type':'function_call','call_id':'c2','name':'g','arguments':'{}'},{'type':'function_call_output','call_id':'c1','output':'1'},{'type':'function_call_output','call_id':'c2','output':[{'type':'input_text','text':'2'}]}] | {'messages':[{'role':'user','content':'a'},{'role':'assistant','content':null,'tool_calls':[{'id':'c1','type':'function','function':{'name':'f','arguments':'{}'}},{'id':'c2','type':'function','function':{'name':'g','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c1','content':'1'},{'role':'tool','tool_call_id':'c2','content':'2'}]}
            'input':[{'role':'user','content':'a'},{'role':'assistant','content':'Wait.'},{'type':'function_call','call_id':'c1','name':'f','arguments':'{}'},{'type':'function_call_output','call_id':'c1','output':'1'}] | {'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'Wait.','tool_calls':[{'id':'c1','type':'function','function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c1','content':'1'}]}
            'input':'Hi','max_output_tokens':7,'temperature':0.5,'top_p':0.9,'user':'u','metadata':{'a':'b'},'service_tier':'flex','top_k':3 | {'temperature':0.5,'top_p':0.9,'user':'u','metadata':{'a':'b'},'service_tier':'flex','top_k':3,'max_completion_tokens':7,'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','reasoning':{'effort':'low','summary':'auto'},'text':{'verbosity':'low','format':{'type':'text'}} | {'reasoning_effort':'low','verbosity':'low','messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','text':{'format':{'type':'json_object'}} | {'response_format':{'type':'json_object'},'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','text':{'format':{'type':'json_schema','name':'n','schema':{'type':'object'},'strict':true}} | {'response_format':{'type':'json_schema','json_schema':{'name':'n','schema':{'type':'object'},'strict':true}},'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','tools':[{'type':'function','name':'f','description':'d','parameters':{'type':'object'},'strict':null}],'tool_choice':{'type':'function','name':'f'},'parallel_tool_calls':false | {'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':{'type':'object'}}}],'tool_choice':{'type':'function','function':{'name':'f'}},'parallel_tool_calls':false,'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','tools':[],'tool_choice':'auto','parallel_tool_calls':true | {'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','include':['message.output_text.logprobs'],'top_logprobs':2 | {'top_logprobs':2,'logprobs':true,'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','stream':true,'background':true,'store':true,'truncation':'disabled','conversation':null,'stream_options':{'include_obfuscation':false} | {'messages':[{'role':'user','content':'Hi'}]}
            'input':'Hi','job':{'pool':'gpu'} | {'job':{'pool':'gpu'},'messages':[{'role':'user','content':'Hi'}]}
            """)
    void a_request_becomes_a_chat(String request, String chat) throws InvalidField {
        assertThat((JsonNode) chat(request)).isEqualTo(json(chat));
    }

    /** What cannot be done is refused, and the message names the field. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            'model':'m' | input | is needed
            'input':7 | input | expected a string or an array of items
            'input':[] | input | at least one message
            'input':[{'type':'item_reference','id':'x'}] | input[0].type | 'item_reference' is not available
            'input':[{'type':'web_search_call','id':'x'}] | input[0].type | 'web_search_call' is not available
            'input':[{'content':'x'}] | input[0].type | is needed
            'input':[{'role':'tool','content':'x'}] | input[0].role | 'tool' is none of
            'input':[{'role':'user','content':[{'type':'text','text':'x'}]}] | input[0].content[0].type | 'text' is not available
            'input':[{'role':'user','content':[{'type':'input_image','file_id':'f'}]}] | input[0].content[0].file_id | is not available
            'input':[{'role':'assistant','content':[{'type':'input_image','image_url':'data:x'}]}] | input[0].content[0].type | goes with the role user only
            'input':[{'type':'function_call','name':'f','arguments':'{}'}] | input[0].call_id | is needed
            'input':[{'type':'function_call_output','call_id':'c','output':[{'type':'input_image','image_url':'x'}]}] | input[0].output[0].type | only input_text
            'input':'Hi','tools':[{'type':'web_search'}] | tools[0].type | 'web_search' is not available
            'input':'Hi','tools':[{'type':'custom','name':'f'}] | tools[0].type | 'custom' is not available
            'input':'Hi','tools':[{'type':'function'}] | tools[0].name | is needed
            'input':'Hi','tools':[{'type':'function','name':'f'}],'tool_choice':{'type':'allowed_tools'} | tool_choice | only auto, none, required
            'input':'Hi','tool_choice':'required' | tool_choice | needs tools
            'input':'Hi','conversation':'c' | conversation | is not available in this version
            'input':'Hi','prompt':{'id':'p'} | prompt | is not available in this version
            'input':'Hi','include':['reasoning.encrypted_content'] | include | 'reasoning.encrypted_content' is not available
            'input':'Hi','truncation':'auto' | truncation | only 'disabled'
            'input':'Hi','max_tool_calls':1 | max_tool_calls | is not available in this version
            'input':'Hi','max_tokens':1 | max_tokens | is max_output_tokens here
            'input':'Hi','messages':[] | messages | is input here
            'input':'Hi','n':2 | n | goes with /v1/chat/completions only
            'input':'Hi','max_output_tokens':0 | max_output_tokens | at least 1
            'input':'Hi','stream':'yes' | stream | expected a boolean
            'input':'Hi','text':{'format':{'type':'grammar'}} | text.format.type | 'grammar' is none of
            'input':'Hi','text':{'format':{'type':'json_schema','name':'n'}} | text.format.schema | expected an object
            'input':'Hi','reasoning':{'context':'auto'} | reasoning.context | unknown field
            'input':'Hi','stream_options':{'include_obfuscation':true} | stream_options.include_obfuscation | is not available
            'input':'Hi','job':{'id':'x'} | job.id | is not available here
            'input':'Hi','job':{'response':{}} | job.response | is not available here
            """)
    void what_cannot_be_done_is_refused_by_name(String request, String param, String message) {
        assertThatThrownBy(() -> parse(request)).isInstanceOfSatisfying(InvalidField.class, refused -> {
            assertThat(refused.failure().param()).isEqualTo(param);
            assertThat(refused.failure().message()).contains(message);
        });
    }

    @Test
    void the_conversation_before_comes_after_the_instructions() throws InvalidField {
        ObjectNode earlier = (ObjectNode) json("{'role':'assistant','content':'Hello.'}");

        ObjectNode chat = parse("'input':'More','instructions':'I','previous_response_id':'resp_1'")
                .chat(List.of(earlier));

        assertThat(chat.path("messages"))
                .extracting(message -> message.path("role").asText())
                .containsExactly("system", "assistant", "user");
    }

    @Test
    void the_request_without_its_input_is_kept_for_the_answer() throws InvalidField {
        ResponsesRequest request =
                parse("'input':'Hi','tools':[{'type':'function','name':'f'}],'user':null,'stream':true");

        assertThat((JsonNode) request.asked())
                .isEqualTo(json("{'tools':[{'type':'function','name':'f'}],'stream':true}"));
        assertThat(request.stream()).isTrue();
        assertThat(request.background()).isFalse();
        assertThat(request.store()).isNull();
    }
}
