//! The matrix as the page of `docs/access.md` shows it.

use super::{Cell, Policy, cell};
use crate::access::scope::Rights;
use crate::fhir::ResourceType;

impl Policy {
    /// The matrix as a Markdown table: types with the same cells share a line.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut lines: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
        for rtype in ResourceType::all() {
            let row: Vec<String> = self.roles.iter().map(|(_, c)| cell(c, rtype).to_string()).collect();
            match lines.iter_mut().find(|(r, _)| *r == row) {
                Some((_, types)) => types.push(rtype.as_str()),
                None => lines.push((row, vec![rtype.as_str()])),
            }
        }
        let names: Vec<&str> = self.roles.iter().map(|(r, _)| r.as_str()).collect();
        let mut out = format!("| types | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        for (row, types) in lines {
            out.push_str(&format!("| {} | {} |\n", types.join(", "), row.join(" | ")));
        }
        let hidden = format!(
            "\n## What is read without\n\nLeft out in every answer, which is marked SUBSETTED; no search finds by it (`_content` and `_text` of the type are 403).\n\n\
             | role | type | elements |\n|---|---|---|\n{}",
            self.redactions.to_markdown()
        );
        let before = self.before_claim.iter().map(|(rtype, what)| format!("| {rtype} | {what} |\n"));
        let before = format!(
            "\n## What a pharmacy sees before it claims\n\nOf a hand-off that is offered to it, until it claims a Task of it or another does: the policy's `before-claim`. Labels and Consents hold as everywhere.\n\n\
             | type | what |\n|---|---|\n{}",
            before.collect::<String>()
        );
        out + &hidden + &before + &self.laws_to_markdown()
    }

    /// Each jurisdiction, with the cells that differ there.
    fn laws_to_markdown(&self) -> String {
        let mut out = String::from(
            "\n## By jurisdiction\n\n| jurisdiction | law | role | types | elsewhere | there |\n|---|---|---|---|---|---|\n",
        );
        for law in &self.laws {
            let mut differs = false;
            for (role, row) in &law.roles {
                let mut lines: Vec<(String, String, Vec<&str>)> = Vec::new();
                for rtype in ResourceType::all() {
                    let (base, there) = (self.cell(*role, rtype), cell(row, rtype));
                    if base == there {
                        continue;
                    }
                    let (base, there) = (base.to_string(), there.to_string());
                    match lines.iter_mut().find(|(b, t, _)| *b == base && *t == there) {
                        Some((.., types)) => types.push(rtype.as_str()),
                        None => lines.push((base, there, vec![rtype.as_str()])),
                    }
                }
                for (base, there, types) in lines {
                    differs = true;
                    let (code, title, role) = (&law.code, &law.title, role.as_str());
                    out.push_str(&format!("| {code} | {title} | {role} | {} | {base} | {there} |\n", types.join(", ")));
                }
            }
            if !differs {
                out.push_str(&format!("| {} | {} | all | all | as above | as above |\n", law.code, law.title));
            }
        }
        out
    }
}

/// `crsU` as the file writes it, `–` for nothing.
impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.own.is_empty() {
            return f.write_str("–");
        }
        for letter in self.own.to_string().chars() {
            let is_shared = match letter {
                'u' => self.shared.covers(Rights::U),
                'd' => self.shared.covers(Rights::D),
                _ => false,
            };
            write!(f, "{}", if is_shared { letter.to_ascii_uppercase() } else { letter })?;
        }
        Ok(())
    }
}
