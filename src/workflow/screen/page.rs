//! `docs/rules.md`: the screening rules as a page, made of the data.

use super::rules::{Rule, Rules, Stat, Test};
use crate::workflow::programme::Programme;

/// The page.
#[must_use]
pub fn rules(programme: &Programme) -> String {
    let rules = &programme.screening;
    let mut out = String::from(HEAD);
    out.push_str(&format!(
        "\nAt most {} problems of one patient, and {} of one medicine, wait at once; what is over that is told by `$screen` as `held-back`, \
         the least severe first. What is high is never held back.\n",
        rules.per_patient, rules.per_medicine
    ));
    out.push_str("\n## Rules\n\n| Rule | Finds | Condition | Code | Severity | Silent where | In force |\n|---|---|---|---|---|---|---|\n");
    for rule in &rules.rules {
        let unless = rule.unless.iter().map(|u| format!("`{u}`")).collect::<Vec<_>>().join(", ");
        let on = if rule.is_on { "yes" } else { "no" };
        out.push_str(&format!(
            "| `{}` v{} | {}. *{}* | {} | {} | {} | {unless} | {on} |\n",
            rule.code,
            rule.version,
            rule.title,
            rule.why,
            condition(rule),
            codes(rule),
            severity(rule)
        ));
    }
    pairs(rules, &mut out);
    out
}

const HEAD: &str = "# Screening rules

Made of `profiles/screening` by a test (`BATON_WRITE_DOCS=1 cargo test --lib screen::tests::the_page` writes it anew). What a site may change, and how, says
[profiles/screening/README.md](../profiles/screening/README.md).

What a rule finds is a candidate: a preliminary DetectedIssue by the Device *screening*, with its rule and version, and one review for a pharmacist. Found again it
adds nothing. What no longer holds is withdrawn while nobody has begun its review, and says so otherwise; nothing is deleted.
";

fn codes(rule: &Rule) -> String {
    let own = |system: &str, code: &Option<String>| code.as_ref().map(|c| format!("{system} `{c}`"));
    let all = [rule.issue.as_ref().map(|c| format!("`{c}`")), own("kind", &rule.category), own("why", &rule.rationale)];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn severity(rule: &Rule) -> String {
    if rule.test == Test::HighRisk {
        return "a Flag".into();
    }
    let raised = if rule.raises { ", one more for a high-risk medicine" } else { "" };
    let stat = match rule.stat {
        Stat::Never => "",
        Stat::HighRisk => "; at once for a high-risk medicine",
        Stat::Severe => "; at once for a severe allergy",
    };
    format!("{}{raised}{stat}", rule.severity)
}

fn condition(rule: &Rule) -> String {
    let list = |words: &[String]| words.join(", ");
    let said = match &rule.test {
        Test::Outcome(kinds) => kinds.iter().map(|k| k.code()).collect::<Vec<_>>().join(", "),
        Test::Changed(what) | Test::Incomplete(what) | Test::DispensedDiffers(what) => list(what),
        Test::Still(group) => group.code().into(),
        Test::SameClass(kind) => kind.clone(),
        Test::Allergy { by_class } => if *by_class { "class" } else { "substance" }.into(),
        Test::Renal { days } => format!("measures of {days} days"),
        Test::Count(count) => count.to_string(),
        Test::NotDispensed { hours, when_none } => {
            format!("{hours} hours{}", if *when_none { "" } else { ", where a pharmacy's records come in" })
        }
        Test::RefillLate(days) => format!("{days} days"),
        Test::OtherSource { is_prescriber } => if *is_prescriber { "prescriber" } else { "pharmacy" }.into(),
        Test::Told(reasons) => list(reasons),
        Test::Answer { links, answers } => format!("{}: {}", list(links), list(answers)),
        Test::Interaction | Test::HighRisk => String::new(),
    };
    if said.is_empty() { rule.kind.clone() } else { format!("{}: {said}", rule.kind) }
}

fn pairs(rules: &Rules, out: &mut String) {
    out.push_str("\n## Pairs that must not meet\n\n| Pair | What happens |\n|---|---|\n");
    let name = |code: &str| rules.classes.get(code).map_or_else(|| code.to_string(), |c| c.display.clone());
    for pair in &rules.classes.pairs {
        out.push_str(&format!("| {} – {} | {} |\n", name(&pair.classes.0), name(&pair.classes.1), pair.effect));
    }
    out.push_str("\n## Kidneys\n\n| Substance | Below mL/min | Severity | What to think of |\n|---|---|---|---|\n");
    for (substance, renal) in &rules.classes.renal {
        out.push_str(&format!("| {substance} | {} | {} | {} |\n", renal.below, renal.severity, renal.advice));
    }
}
