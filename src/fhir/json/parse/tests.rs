use super::*;

fn issues(text: &[u8]) -> Vec<(String, String)> {
    parse(text).unwrap_err().issues.into_iter().map(|i| (i.expression, i.diagnostics)).collect()
}

/// R4 json.html: Numbers and strings are written as they were read.
#[test]
fn what_is_read_is_written_again_digit_for_digit() {
    for text in [
        r#"{"a":2.50,"b":[1E-24,-0,0.10,1.00e+2],"c":{"d":[{}]},"e":[null,true,false]}"#,
        r#"["\"\\\n\u0001é😀",""]"#,
        "12",
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
    }
    assert_eq!(parse(br#" "\ud83d\ude00\/\b" "#).unwrap().text(), "\u{1f600}/\u{8}");
}

/// R4 json.html: What is no JSON, no UTF-8, has a NUL or goes too deep is refused.
#[test]
fn what_json_refuses_is_refused() {
    let deep = "[".repeat(65) + &"]".repeat(65);
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "NaN",
        "tru",
        "truex",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\u{1}\"",
        "1 2",
        "/*c*/1",
        "1 // c",
        "[1 2]",
        "{\"a\" 1}",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\u{feff}{}",
        "{}}",
        "\0",
        "{}\0",
        &deep,
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xed\xa0\x80\"", b"\"\xc0\x80\""] {
        assert!(parse(bytes).is_err());
    }
    assert!(parse(("[".repeat(64) + &"]".repeat(64)).as_bytes()).is_ok());
    assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
}

/// R4 json.html: A member that stands twice and control characters are refused with element, line and column.
#[test]
fn all_issues_come_at_once_with_element_and_place() {
    let text = b"{\"resourceType\":\"Patient\",\n \"name\":[{\"given\":[\"a\\u0000\"],\"given\":[]}],\"id\":\"\x01\"}";
    let found = issues(text);
    let paths: Vec<&str> = found.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(paths, ["Patient.name[0].given[0]", "Patient.name[0].given", "Patient.id"]);
    assert!(found[1].1.contains("line 2, column 31"), "{}", found[1].1);
}

#[test]
fn doubles_are_found_in_large_objects_too() {
    let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
    assert!(parse(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
    assert_eq!(issues(format!("{{{},\"k3\":1,\"k99\":1}}", many.join(",")).as_bytes()).len(), 2);
}

#[test]
fn a_string_over_the_limit_is_refused() {
    let limits = Limits { string_bytes: 4, ..Limits::default() };
    assert!(parse_with(b"\"abcd\"", &limits).is_ok());
    assert_eq!(parse_with(b"[\"abcde\",\"\\nbcde\"]", &limits).unwrap_err().issues.len(), 2);
}

/// Found by `examples/fuzz.rs`: the type's name went into the expression as it came.
#[test]
fn a_name_with_a_control_character_does_not_come_into_an_expression() {
    let found = issues(b"{\"resourceType\":\"Pa\\u0018t\",\"a\":\"b");
    assert!(found.iter().all(|(expression, _)| !expression.contains(char::is_control)), "{found:?}");
}
