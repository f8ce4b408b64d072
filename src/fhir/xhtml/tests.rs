use super::*;

fn div(inner: &str) -> String {
    format!("<div xmlns=\"{NAMESPACE}\">{inner}</div>")
}

/// R4 narrative.html: The elements and attributes that R4 allows in a narrative pass.
#[test]
fn a_narrative_of_allowed_elements_passes() {
    for inner in [
        "text",
        "<p>a &lt; b &#160; &#xe9;</p><br/>",
        "<img src='#image' alt=\"\"/>",
        "<a href=\"Patient/1?a=b&amp;c\">x</a>",
        "<!-- a remark -->x",
        "<table border=\"1\"><tr><td style=\"color: red\">1</td></tr></table>",
        "<img src=\"data:image/png;base64,AAAA\"/>",
        "<b title='it is > 1'>x</b>",
        "<a href=\"urn:uuid:1\">x</a>",
    ] {
        assert_eq!(problems(&div(inner)), Vec::new(), "{inner}");
    }
}

/// R4 narrative.html: Scripts, handlers, forms, outside images and styles that load, and what is no XML are refused.
#[test]
fn what_runs_or_calls_out_or_is_no_xml_is_refused() {
    for inner in [
        "<script>1</script>",
        "<p onclick=\"x\">a</p>",
        "<a href=\"javascript:x\">a</a>",
        "<a href=\" java&#10;script:x\">a</a>",
        "<a href=\"JaVaScRiPt&#58;x\">a</a>",
        "<a href=\"data:text/html,x\">a</a>",
        "<img src=\"http://x/y.png\"/>",
        "<img src=\"//x/y.png\"/>",
        "<p style=\"background: url(http://x)\">a</p>",
        "<p style=\"width: expression(x)\">a</p>",
        "<p style=\"\\75rl(http://x)\">a</p>",
        "<iframe/>a",
        "<object/>a",
        "<form>a</form>",
        "<svg/>a",
        "<style>p{}</style>",
        "<base href=\"x\"/>a",
        "<link href=\"x\"/>a",
        "<P>a</P>",
        "<p>a",
        "a</p>",
        "<p><b>a</p></b>",
        "<p class=a>a</p>",
        "<p a>a</p>",
        "a < b",
        "a & b",
        "&nbsp;a",
        "&#0;a",
        "<![CDATA[<b>]]>",
        "<?php ?>a",
        "<!--><b>x</b>-->a",
        "<font>a</font>",
        "<x:p>a</x:p>",
        "<p class=\"a\" class=\"b\">a</p>",
        "<img src=\"data:image/svg+xml,x\"/>",
        "",
        "  ",
        "<p xmlns=\"http://x\">a</p>",
    ] {
        assert_ne!(problems(&div(inner)), Vec::new(), "{inner}");
    }
    for text in [
        "",
        "text",
        "<div>a</div>",
        "<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>",
        &(div("a") + "b"),
        &div("a").repeat(2),
    ] {
        assert_ne!(problems(text), Vec::new(), "{text}");
    }
}

#[test]
fn what_runs_or_calls_out_is_told_from_what_is_no_xhtml() {
    let is_forbidden = |text: &str| problems(text).iter().any(|p| matches!(p, Problem::Forbidden(_)));
    for inner in [
        "<script>1</script>",
        "<p onclick=\"x\">a</p>",
        "<a href=\"javascript:x\">a</a>",
        "<img src=\"http://x/y.png\"/>",
    ] {
        assert!(is_forbidden(&div(inner)), "{inner}");
    }
    for inner in ["<p>a", "a & b", "&nbsp;a", ""] {
        assert!(!is_forbidden(&div(inner)), "{inner}");
    }
}

/// R4 http.html#trules: In narratives `src` and `href` are replaced, texts are not.
#[test]
fn links_are_replaced_and_text_is_not() {
    let rename = |link: &str| (link == "urn:uuid:1").then(|| "Binary/a".to_owned());
    let before = div("urn:uuid:1 <img src=\"urn:uuid:1\" alt=\"urn:uuid:1\"/><a href='urn:uuid:1'>urn:uuid:1</a>");
    let after = div("urn:uuid:1 <img src=\"Binary/a\" alt=\"urn:uuid:1\"/><a href='Binary/a'>urn:uuid:1</a>");
    assert_eq!(rewrite(&before, &rename), Some(after.clone()));
    assert_eq!(rewrite(&after, &rename), None);
}
