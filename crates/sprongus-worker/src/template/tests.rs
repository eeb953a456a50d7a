use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn context(input: &Value) -> TemplateContext {
    let run = RunNames { id: "01K", kind: "script.pull", attempt: 2, epoch: 7, scheduled_for: None };
    let steps = [("diff", Some("a\nb")), ("sign-off", Some("yes")), ("skipped", None)];
    TemplateContext::new(run, input, Path::new("/p"), steps)
}

fn render(text: &str, input: &Value) -> Result<String, TemplateFault> {
    Template::compile(text)?.render(&context(input))
}

#[test]
fn renders_every_kind_of_value() {
    let input = json!({
        "path": "a b", "n": 5, "f": 1.5, "big": u64::MAX, "yes": true,
        "list": [1, "x", null], "map": {"b": 1, "a": {"c": false}}, "none": null, "empty": "",
    });
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("--path={{ input.path }}!", "--path=a b!"),
        ("{{input.n}}", "5"),
        ("{{ input.f }}", "1.5"),
        ("{{ input.big }}", "18446744073709551615"),
        ("{{ input.yes }}", "true"),
        ("{{ input.list }}", r#"[1,"x",null]"#),
        ("{{ input.map }}", r#"{"a":{"c":false},"b":1}"#),
        ("{{ input.empty }}", ""),
        ("{{ input.none | default('x') }}", "x"),
        ("{{ input.missing | default(3) }}", "3"),
        ("{{ steps.diff.output }}", "a\nb"),
        ("{{ steps[\"sign-off\"].output }}", "yes"),
        ("{{ steps.skipped.output | default('-') }}", "-"),
        (
            "{{ run.id }} {{ run.kind }} {{ run.attempt }} {{ run.epoch }} {{ project_dir }}",
            "01K script.pull 2 7 /p",
        ),
        ("{{ 'a' if input.missing is defined else 'b' }}", "b"),
        ("{{ input.list | first }}{{ input.path | upper | replace(' ', '_') }}", "1A_B"),
        ("{{ ['a', 'b'] | join(',') }}", "a,b"),
        ("{{ {'a': {'b': 1}}.a.b }}", "1"),
        ("{{ '}}' }}{{ \"{{\" }}", "}}{{"),
        ("${#array[@]} $(id) `id` ; {x}", "${#array[@]} $(id) `id` ; {x}"),
        ("{{ '{%' }}", "{%"),
    ] {
        assert_eq!(render(text, &input).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn data_is_never_a_template_again() {
    let input = json!({ "x": "{{ run.id }} $(id) '\"\n<&>" });
    assert_eq!(render("{{ input.x }}", &input).unwrap(), "{{ run.id }} $(id) '\"\n<&>");
}

#[test]
fn refuses_what_it_cannot_render() {
    let input =
        json!({ "none": null, "nul": "a\u{0}b", "text": "x", "long": "y".repeat(LARGEST_ELEMENT + 1) });
    for (text, expected) in [
        ("{{ input.path }}", "`input.path` does not exist"),
        ("{{ input.a.b }}", "`input.a` does not exist"),
        ("{{ 'x' ~ input.gone }}", "`input.gone` does not exist"),
        ("{{ steps.skipped.output }}", "`steps.skipped.output` does not exist"),
        ("{{ input.none }}", "`input.none` is null"),
        ("{{ input.nul }}", "NUL"),
        ("{{ input.long }}", "longer than"),
        ("{{ input.long | replace('y', input.long) }}", "longer than"),
        ("{{ input.text - 1 }}", "do not allow this operation"),
        ("{{ range(3) }}", "unknown function"),
    ] {
        let fault = render(text, &input).unwrap_err().to_string();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
}

#[test]
fn refuses_at_load_time() {
    for (text, expected) in [
        ("{{ input.path", "is not closed"),
        ("{{ 'x }}", "missing closing quote"),
        ("{{ }}", "is empty"),
        ("{{ input. }}", "input."),
        ("{% for i in range(1000000000) %}x{% endfor %}", "`{% … %}` is not supported"),
        ("{{ 'x' * 1000000000 }}", "`*` is not supported"),
        ("{{- input.n }}", "`{{-` is not supported"),
        ("a\0b", "NUL"),
    ] {
        let fault = Template::compile(text).unwrap_err().to_string();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
    assert!(Template::compile(&"x".repeat(LARGEST_SOURCE + 1)).is_err());
}

#[test]
fn checks_names_before_any_run() {
    let check = |text: &str| Template::compile(text).unwrap().names_used().check(&["diff", "sign-off"]);
    assert_eq!(
        check("{{ input.x.y }} {{ run.id }} {{ steps.diff.output }} {{ steps[ 'sign-off' ].output }}"),
        Ok(())
    );
    for (text, expected) in [
        ("{{ inptu.path }}", "did you mean `input`?"),
        ("{{ secret }}", "use one of: input"),
        ("{{ run.name }}", "`run` has id"),
        ("{{ steps.dif.output }}", "did you mean `diff`?"),
        ("{{ steps['later'].output }}", "the steps before this one are diff, sign-off"),
        ("{{ steps.diff.stdout }}", "`steps.diff.output`"),
        ("{{ steps.sign-off.output }}", "dash"),
    ] {
        let fault = check(text).unwrap_err().to_string();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
}

/// The engine's parser recurses; what fits into an expression must fit on the stack, also of a debug build.
#[test]
fn deep_expressions_do_not_overflow_the_stack() {
    for (opening, closing) in [
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("not ", ""),
        ("", ".a"),
        ("", "|d"),
        ("", "~1"),
        ("", "[0]"),
        ("", " if 1"),
    ] {
        for count in [100, 160, 400, 1000, 100_000] {
            let _ =
                render(&format!("{{{{ {}1{} }}}}", opening.repeat(count), closing.repeat(count)), &json!({}));
        }
    }
}

proptest! {
    #[test]
    fn any_text_ends_without_a_panic(text in "\\PC{0,200}") {
        let _ = render(&text, &json!({ "a": [1, "x"] }));
    }

    #[test]
    fn any_likely_template_ends_without_a_panic(
        text in "(\\{\\{|\\}\\}|[{}()\\[\\]|~.,:+%/'\"\\\\ -]|input|steps|a|default|join|replace|if|else|not|in|is|[0-9]{1,20}|é){0,40}"
    ) {
        let _ = render(&text, &json!({ "a": [1, "x"] }));
        let _ = render(&format!("{{{{ {text} }}}}"), &json!({ "a": [1, "x"] }));
    }

    #[test]
    fn any_input_text_arrives_unchanged(data in "[^\u{0}]{0,100}") {
        prop_assert_eq!(render("<{{ input.x }}>", &json!({ "x": data })).unwrap(), format!("<{data}>"));
    }
}
