package dev.penstock.route.match;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.PromptJob;
import dev.penstock.settings.Conditions.Trait;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a prompt looks like. */
class PromptLookTest {
    private static Set<Trait> traits(PromptJob job) {
        return PromptTraits.of(job, EnumSet.allOf(Trait.class), PromptText.of(job));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "What does this do?\n```\nx\n```",
                "def add(a, b):\n    return a + b\nprint(add(1, 2))\nimport os",
                "public static void main(String[] args) {\n    int x = 1;\n    System.out.println(x);\n}",
                "Why is it slow?\nSELECT a FROM t WHERE (b = 1);\nSELECT c FROM t WHERE (d = 2);\nCREATE INDEX i ON t (b);",
                "const a = 1;\nlet b = () => a;\nconsole.log(b());",
                "#include <stdio.h>\nint main() {\n  return 0;\n}"
            })
    void code_is_recognised(String prompt) {
        assertThat(traits(TestJobs.chat(prompt))).containsExactly(Trait.CODE);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Write a poem about the sea.",
                "Dear all,\n\nif you have time, please come.\nfor tea we have cake.\nThe date: Monday.\n\nYours\nAnna",
                "A list:\n- one\n- two\n- three (with a note)\n",
                "I paid 5; he paid 6.",
                ""
            })
    void prose_is_no_code(String prompt) {
        assertThat(traits(TestJobs.chat(prompt))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"Solve it step by step.|REASONING", "Erkläre es Schritt für Schritt.|REASONING", "How are you?|"})
    void some_words_ask_for_reasoning(String prompt, Trait found) {
        assertThat(traits(TestJobs.chat(prompt))).isEqualTo(found == null ? Set.of() : Set.of(found));
    }

    @Test
    void fields_of_the_request_have_traits() {
        String hi = "'messages':[{'role':'user','content':'Hi'}]";

        assertThat(traits(TestJobs.of("{%s,'tools':[{'type':'function'}]}".formatted(hi))))
                .containsExactly(Trait.TOOLS);
        assertThat(traits(TestJobs.of("{%s,'response_format':{'type':'json_schema','json_schema':{}}}".formatted(hi))))
                .containsExactly(Trait.JSON);
        assertThat(traits(TestJobs.of("{%s,'thinking':{'type':'enabled'}}".formatted(hi))))
                .containsExactly(Trait.REASONING);
        assertThat(traits(TestJobs.of("{%s,'thinking':{'type':'disabled'}}".formatted(hi))))
                .isEmpty();
        assertThat(traits(TestJobs.of("{%s,'think':false}".formatted(hi)))).isEmpty();
        assertThat(
                        traits(
                                TestJobs.of(
                                        "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/png;base64,aGk='}}]}]}")))
                .containsExactly(Trait.IMAGES);
        assertThat(traits(TestJobs.of("{'images':['aGk=']}"))).containsExactly(Trait.IMAGES);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "What is the capital of France, and why?|en",
                "Was ist die Hauptstadt von Frankreich und warum?|de",
                "Quelle est la capitale de la France et pourquoi ?|fr",
                "¿Cuál es la capital de Francia y por qué?|es",
                "Qual è la capitale della Francia e perché?|it",
                "Qual é a capital da França e por que você pergunta?|pt",
                "Wat is de hoofdstad van Frankrijk en waarom?|nl",
                "Какая столица Франции?|ru",
                "Яка столиця Франції?|uk",
                "法国的首都是哪里？|zh",
                "フランスの首都はどこですか|ja",
                "프랑스의 수도는 어디입니까?|ko",
                "ما هي عاصمة فرنسا؟|ar",
                "מהי בירת צרפת?|he",
                "Ποια είναι η πρωτεύουσα;|el",
                "फ्रांस की राजधानी क्या है?|hi",
                "เมืองหลวงของฝรั่งเศสคืออะไร|th",
                "Explain 首都 in the context of this text, please|en"
            })
    void the_script_or_the_frequent_words_show_the_language(String prompt, String language) {
        assertThat(PromptLanguage.of(prompt)).isEqualTo(language);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "xyz", "12345 67890", "OK", "GPU CPU RAM"})
    void an_unclear_text_has_no_language(String prompt) {
        assertThat(PromptLanguage.of(prompt)).isNull();
    }

    @Test
    void only_the_newest_text_up_to_a_limit_is_read() {
        String old = "x".repeat(10 * PromptText.MOST);
        PromptJob job = TestJobs.of(
                "{'messages':[{'role':'user','content':'%s'},{'role':'assistant','content':null},{'role':'user','content':[{'type':'text','text':'Was ist das?'}]}]}"
                        .formatted(old));

        assertThat(PromptText.of(job)).startsWith("Was ist das?\nxxx").hasSize(PromptText.MOST);
        assertThat(PromptText.of(TestJobs.of("{'prompt':'Hi','system':'Be brief'}")))
                .isEqualTo("Hi\nBe brief\n");
        assertThat(PromptText.of(TestJobs.of("{'input':['a','b']}"))).isEqualTo("a\nb\n");
        assertThat(PromptText.of(TestJobs.of("{'input':[1,2]}"))).isEmpty();
    }

    @Test
    void tokens_are_estimated_from_the_text_by_a_ratio() {
        PromptJob chat = TestJobs.chat("x".repeat(396));
        PromptJob tokens = TestJobs.of("{'input':[1,2,3]}");
        PromptJob image = TestJobs.of(
                "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':{'url':'data:image/png;base64,%s'}}]}]}"
                        .formatted("aGk=".repeat(1000)));

        assertThat(chat.promptSize().tokens(4)).as("the role counts too").isEqualTo(100);
        assertThat(chat.promptSize().tokens(2)).isEqualTo(200);
        assertThat(tokens.promptSize().tokens(4)).isEqualTo(3);
        assertThat(image.promptSize().tokens(4)).as("media do not count").isLessThan(10);
    }
}
