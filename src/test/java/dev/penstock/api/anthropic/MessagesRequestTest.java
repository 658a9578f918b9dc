package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.anthropic.MessagesRequest.Parsed;
import dev.penstock.api.anthropic.MessagesRequest.Purpose;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tests the translation of a Messages request into a chat in OpenAI's form. */
class MessagesRequestTest {
    private static final AllowedHosts HOSTS = new AllowedHosts(Set.of("pictures.example"));
    private static final String USER = "{'role':'user','content':'Hi'}";

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '^', textBlock = """
            'temperature':0.5                       | 'temperature':0.5
            'top_p':0.9,'top_k':40                  | 'top_p':0.9,'top_k':40
            'stop_sequences':['END','STOP']         | 'stop':['END','STOP']
            'stop_sequences':[]                     |
            'metadata':{'user_id':'u1'}             | 'user':'u1'
            'metadata':{}                           |
            'thinking':{'type':'enabled','budget_tokens':2000} | 'thinking':{'type':'enabled','budget_tokens':2000}
            'thinking':{'type':'disabled'}          | 'thinking':{'type':'disabled'}
            'thinking':{'type':'adaptive','display':'omitted'} | 'thinking':{'type':'adaptive','display':'omitted'}
            'output_config':{'effort':'low'}        | 'reasoning_effort':'low'
            'output_config':{'format':{'type':'json_schema','schema':{'type':'object'}}} | 'response_format':{'type':'json_schema','json_schema':{'name':'answer','strict':true,'schema':{'type':'object'}}}
            'cache_control':{'type':'ephemeral'}    | 'cache_control':{'type':'ephemeral'}
            'tools':[]                              |
            'tools':[{'name':'look','description':'Looks','input_schema':{'type':'object'}}] | 'tools':[{'type':'function','function':{'name':'look','description':'Looks','parameters':{'type':'object'}}}]
            'tools':[{'type':'custom','name':'look','input_schema':{},'strict':true,'cache_control':{'type':'ephemeral'}}] | 'tools':[{'type':'function','function':{'name':'look','parameters':{},'strict':true},'cache_control':{'type':'ephemeral'}}]
            'tool_choice':{'type':'auto'}           | 'tool_choice':'auto'
            'tool_choice':{'type':'none'}           | 'tool_choice':'none'
            'tool_choice':{'type':'any','disable_parallel_tool_use':true} | 'tool_choice':'required','parallel_tool_calls':false
            'tool_choice':{'type':'any','disable_parallel_tool_use':false} | 'tool_choice':'required'
            'tool_choice':{'type':'tool','name':'look'} | 'tool_choice':{'type':'function','function':{'name':'look'}}
            'service_tier':'auto','context_management':{'edits':[]} |
            'temperature':null,'tools':null,'thinking':null,'metadata':null |
            """)
    void a_field_becomes_the_chats_field(String given, String expected) {
        JsonNode chat = chat("{'model':'m','max_tokens':9,'messages':[" + USER + "]," + given + "}");

        assertThat(chat)
                .isEqualTo(json("{'model':'m','stream':false,'max_tokens':9,'messages':[" + USER + "]"
                        + (expected == null ? "" : "," + expected) + "}"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '^', textBlock = """
            {'role':'user','content':'Hi'}                                            | {'role':'user','content':'Hi'}
            {'role':'user','content':[{'type':'text','text':'Hi'}]}                   | {'role':'user','content':'Hi'}
            {'role':'user','content':[{'type':'text','text':'Hi'},{'type':'text','text':'Ho'}]} | {'role':'user','content':[{'type':'text','text':'Hi'},{'type':'text','text':'Ho'}]}
            {'role':'user','content':[{'type':'text','text':'Hi','cache_control':{'type':'ephemeral','ttl':'1h'}}]} | {'role':'user','content':[{'type':'text','text':'Hi','cache_control':{'type':'ephemeral','ttl':'1h'}}]}
            {'role':'user','content':[{'type':'image','source':{'type':'base64','media_type':'image/png','data':'aGk='}}]} | {'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/png;base64,aGk='}}]}
            {'role':'user','content':[{'type':'image','source':{'type':'url','url':'https://pictures.example/a.png'}}]} | {'role':'user','content':[{'type':'image_url','image_url':{'url':'https://pictures.example/a.png'}}]}
            {'role':'user','content':[{'type':'document','title':'T','context':'C','source':{'type':'text','media_type':'text/plain','data':'D'}}]} | {'role':'user','content':'T\\n\\nC\\n\\nD'}
            {'role':'user','content':[{'type':'document','source':{'type':'content','content':[{'type':'text','text':'A'},{'type':'text','text':'B'}]},'cache_control':{'type':'ephemeral'}}]} | {'role':'user','content':[{'type':'text','text':'A\\n\\nB','cache_control':{'type':'ephemeral'}}]}
            {'role':'user','content':[{'type':'document','title':'a.pdf','context':'C','source':{'type':'base64','media_type':'application/pdf','data':'aGk='}}]} | {'role':'user','content':[{'type':'text','text':'C'},{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/pdf;base64,aGk='}}]}
            {'role':'user','content':[{'type':'tool_result','tool_use_id':'c1','content':'blue'}]} | {'role':'tool','content':'blue','tool_call_id':'c1'}
            {'role':'user','content':[{'type':'tool_result','tool_use_id':'c1'}]}     | {'role':'tool','content':'','tool_call_id':'c1'}
            {'role':'user','content':[{'type':'tool_result','tool_use_id':'c1','is_error':true,'content':[{'type':'text','text':'no'}],'cache_control':{'type':'ephemeral'}}]} | {'role':'tool','content':'no','tool_call_id':'c1','is_error':true,'cache_control':{'type':'ephemeral'}}
            {'role':'user','content':[{'type':'tool_result','tool_use_id':'c1','content':[{'type':'image','source':{'type':'base64','media_type':'image/png','data':'aGk='}}]}]} | {'role':'tool','content':[{'type':'image_url','image_url':{'url':'data:image/png;base64,aGk='}}],'tool_call_id':'c1'}
            {'role':'user','content':[{'type':'text','text':'So?'},{'type':'tool_result','tool_use_id':'c1','content':'blue'},{'type':'tool_result','tool_use_id':'c2','content':'warm'}]} | {'role':'tool','content':'blue','tool_call_id':'c1'},{'role':'tool','content':'warm','tool_call_id':'c2'},{'role':'user','content':'So?'}
            {'role':'assistant','content':'Yes'}                                      | {'role':'assistant','content':'Yes'}
            {'role':'assistant','content':[{'type':'text','text':'Yes','citations':null}]} | {'role':'assistant','content':'Yes'}
            {'role':'assistant','content':[]}                                         |
            {'role':'assistant','content':[{'type':'tool_use','id':'c1','name':'look','input':{'at':'sky'}}]} | {'role':'assistant','content':null,'tool_calls':[{'id':'c1','type':'function','function':{'name':'look','arguments':'{\\"at\\":\\"sky\\"}'}}]}
            {'role':'assistant','content':[{'type':'text','text':'I look.'},{'type':'tool_use','id':'c1','name':'a','input':{}},{'type':'tool_use','id':'c2','name':'b','input':{},'cache_control':{'type':'ephemeral'}}]} | {'role':'assistant','content':'I look.','tool_calls':[{'id':'c1','type':'function','function':{'name':'a','arguments':'{}'}},{'id':'c2','type':'function','function':{'name':'b','arguments':'{}'},'cache_control':{'type':'ephemeral'}}]}
            {'role':'assistant','content':[{'type':'thinking','thinking':'Hm.','signature':'EqQB'},{'type':'redacted_thinking','data':'Ev0'},{'type':'text','text':'Yes'}]} | {'role':'assistant','content':'Yes','reasoning':'Hm.','thinking_blocks':[{'type':'thinking','thinking':'Hm.','signature':'EqQB'},{'type':'redacted_thinking','data':'Ev0'}]}
            {'role':'assistant','content':[{'type':'thinking','thinking':'Hm.','signature':''},{'type':'text','text':'Yes'}]} | {'role':'assistant','content':'Yes','reasoning':'Hm.'}
            {'role':'assistant','content':[{'type':'text','text':'Yes'},{'type':'thinking','thinking':'Hm.','signature':'EqQB'},{'type':'tool_use','id':'c1','name':'a','input':{}}]} | {'role':'assistant','content':'Yes'},{'role':'assistant','content':null,'reasoning':'Hm.','thinking_blocks':[{'type':'thinking','thinking':'Hm.','signature':'EqQB'}],'tool_calls':[{'id':'c1','type':'function','function':{'name':'a','arguments':'{}'}}]}
            """)
    void a_message_becomes_messages_of_the_chat(String given, String expected) {
        JsonNode chat = chat("{'model':'m','max_tokens':9,'messages':[" + given + "]}");

        assertThat(chat.path("messages")).isEqualTo(json("[" + (expected == null ? "" : expected) + "]"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '^', textBlock = """
            'Be brief.'                                      | {'role':'system','content':'Be brief.'},
            [{'type':'text','text':'Be brief.'}]             | {'role':'system','content':'Be brief.'},
            [{'type':'text','text':'Much.','cache_control':{'type':'ephemeral'}},{'type':'text','text':'More.'}] | {'role':'system','content':[{'type':'text','text':'Much.','cache_control':{'type':'ephemeral'}},{'type':'text','text':'More.'}]},
            ''                                               |
            []                                               |
            null                                             |
            """)
    void the_system_prompt_becomes_the_first_message(String system, String expected) {
        JsonNode chat = chat("{'model':'m','max_tokens':9,'system':" + system + ",'messages':[" + USER + "]}");

        assertThat(chat.path("messages")).isEqualTo(json("[" + (expected == null ? "" : expected) + USER + "]"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '^', textBlock = """
            []                                              | $
            {'max_tokens':9,'messages':[U]}                 | model
            {'model':7,'max_tokens':9,'messages':[U]}       | model
            {'model':'m','messages':[U]}                    | max_tokens
            {'model':'m','max_tokens':0,'messages':[U]}     | max_tokens
            {'model':'m','max_tokens':'9','messages':[U]}   | max_tokens
            {'model':'m','max_tokens':9}                    | messages
            {'model':'m','max_tokens':9,'messages':[]}      | messages
            {'model':'m','max_tokens':9,'messages':'Hi'}    | messages
            {'model':'m','max_tokens':9,'messages':['Hi']}  | messages[0]
            {'model':'m','max_tokens':9,'messages':[{'content':'Hi'}]} | messages[0].role
            {'model':'m','max_tokens':9,'messages':[{'role':'system','content':'Hi'}]} | messages[0].role
            {'model':'m','max_tokens':9,'messages':[{'role':'user'}]} | messages[0].content
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[]}]} | messages[0].content
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':['Hi']}]} | messages[0].content[0]
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'text':'Hi'}]}]} | messages[0].content[0].type
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'text'}]}]} | messages[0].content[0].text
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'search_result'}]}]} | messages[0].content[0].type
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'text','text':'a','cache_control':'x'}]}]} | messages[0].content[0].cache_control
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'image'}]}]} | messages[0].content[0].source
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'image','source':{'type':'file','file_id':'f'}}]}]} | messages[0].content[0].source.type
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'image','source':{'type':'base64','media_type':'a b','data':'aGk='}}]}]} | messages[0].content[0].source.media_type
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'image','source':{'type':'url','url':'http://169.254.169.254/'}}]}]} | messages[0].content[0].source.url
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'document','source':{'type':'url','url':'https://pictures.example/a.pdf'}}]}]} | messages[0].content[0].source.type
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'document','citations':{'enabled':true},'source':{'type':'text','data':'D'}}]}]} | messages[0].content[0].citations
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'tool_result','content':'a'}]}]} | messages[0].content[0].tool_use_id
            {'model':'m','max_tokens':9,'messages':[{'role':'user','content':[{'type':'tool_result','tool_use_id':'c','content':[{'type':'tool_reference'}]}]}]} | messages[0].content[0].content[0].type
            {'model':'m','max_tokens':9,'messages':[{'role':'assistant','content':[{'type':'server_tool_use'}]}]} | messages[0].content[0].type
            {'model':'m','max_tokens':9,'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'c','name':'a'}]}]} | messages[0].content[0].input
            {'model':'m','max_tokens':9,'messages':[{'role':'assistant','content':[{'type':'tool_use','name':'a','input':{}}]}]} | messages[0].content[0].id
            {'model':'m','max_tokens':9,'messages':[{'role':'assistant','content':[{'type':'thinking'}]}]} | messages[0].content[0].thinking
            {'model':'m','max_tokens':9,'messages':[U],'system':7} | system
            {'model':'m','max_tokens':9,'messages':[U],'system':[{'type':'image'}]} | system[0].type
            {'model':'m','max_tokens':9,'messages':[U],'temperature':'hot'} | temperature
            {'model':'m','max_tokens':9,'messages':[U],'top_k':1.5} | top_k
            {'model':'m','max_tokens':9,'messages':[U],'stop_sequences':'END'} | stop_sequences
            {'model':'m','max_tokens':9,'messages':[U],'stop_sequences':['END',7]} | stop_sequences[1]
            {'model':'m','max_tokens':9,'messages':[U],'stream':'yes'} | stream
            {'model':'m','max_tokens':9,'messages':[U],'tools':{}} | tools
            {'model':'m','max_tokens':9,'messages':[U],'tools':[{'name':'a'}]} | tools[0].input_schema
            {'model':'m','max_tokens':9,'messages':[U],'tools':[{'input_schema':{}}]} | tools[0].name
            {'model':'m','max_tokens':9,'messages':[U],'tools':[{'type':'web_search_20250305','name':'web_search'}]} | tools[0].type
            {'model':'m','max_tokens':9,'messages':[U],'tool_choice':'any'} | tool_choice
            {'model':'m','max_tokens':9,'messages':[U],'tool_choice':{'type':'tool'}} | tool_choice.name
            {'model':'m','max_tokens':9,'messages':[U],'tool_choice':{'type':'some'}} | tool_choice.type
            {'model':'m','max_tokens':9,'messages':[U],'thinking':{'type':'enabled'}} | thinking.budget_tokens
            {'model':'m','max_tokens':9,'messages':[U],'thinking':{'budget_tokens':9}} | thinking.type
            {'model':'m','max_tokens':9,'messages':[U],'output_config':{'effort':'huge'}} | output_config.effort
            {'model':'m','max_tokens':9,'messages':[U],'output_config':{'format':{'type':'text'}}} | output_config.format.type
            {'model':'m','max_tokens':9,'messages':[U],'output_config':{'format':{'type':'json_schema'}}} | output_config.format.schema
            {'model':'m','max_tokens':9,'messages':[U],'metadata':{'user_id':7}} | metadata.user_id
            {'model':'m','max_tokens':9,'messages':[U],'mcp_servers':[]} | mcp_servers
            {'model':'m','max_tokens':9,'messages':[U],'container':'c'} | container
            {'model':'m','max_tokens':9,'messages':[U],'max_token':9} | max_token
            """)
    void a_mistake_is_refused_by_the_name_of_its_field(String document, String field) {
        JobFailure failure = refused(document.replace("U", USER));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
        assertThat(failure.param()).isEqualTo(field);
        assertThat(failure.message()).startsWith(field + ": ");
    }

    @Test
    void a_body_that_is_no_json_is_refused() {
        assertThat(refused("{'model':").code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
    }

    @Test
    void a_count_needs_no_limit() {
        String document = "{'model':'m','messages':[" + USER + "]}";

        assertThat(MessagesRequest.parse(bytes(document), Purpose.COUNT, HOSTS)).isInstanceOf(Parsed.Valid.class);
        assertThat(refused(document).param()).isEqualTo("max_tokens");
    }

    private static ObjectNode chat(String document) {
        return parsed(document, Purpose.ANSWER);
    }

    private static ObjectNode parsed(String document, Purpose purpose) {
        return switch (MessagesRequest.parse(bytes(document), purpose, HOSTS)) {
            case Parsed.Valid(ObjectNode chat) -> (ObjectNode) json(chat.toString());
            case Parsed.Refused(JobFailure failure) -> throw new AssertionError(failure);
        };
    }

    private static JobFailure refused(String document) {
        return switch (MessagesRequest.parse(bytes(document), Purpose.ANSWER, HOSTS)) {
            case Parsed.Valid(ObjectNode chat) -> throw new AssertionError("not refused: " + chat);
            case Parsed.Refused(JobFailure failure) -> failure;
        };
    }

    private static byte[] bytes(String document) {
        return document.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    }

    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text.replace('\'', '"')), text);
    }
}
