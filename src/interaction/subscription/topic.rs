//! Topics: what a Subscription may ask for by a canonical address, as data.
//!
//! Source: <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/>, topics outside of R5; the list is `profiles/subscription/topics.json`.

use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use serde::Deserialize;
use std::path::Path;

/// The list that is built in.
const BUILT_IN: &str = include_str!("../../../profiles/subscription/topics.json");
/// Where topics have their addresses.
const BASE: &str = "http://baton.example/fhir/SubscriptionTopic/";
/// Stands in criteria for the id of the subscriber's Organization.
const ORG: &str = "{org}";

/// Topics, and who may be sent whole resources.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topics {
    #[serde(rename = "title")]
    _title: String,
    /// Client ids.
    full_resource: Vec<String>,
    topics: Vec<Topic>,
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::interaction) struct Topic {
    name: String,
    #[serde(rename = "title")]
    _title: String,
    criteria: String,
    /// Search parameters that a filter may name.
    filters: Vec<String>,
}

impl Topics {
    /// `DIR/subscription/topics.json` where it is there, else the built-in list.
    ///
    /// # Errors
    /// `Invalid` with one sentence that names the file and what is wrong in it.
    pub fn load(profiles: Option<&Path>) -> Result<Self> {
        let Some(path) = profiles.map(|d| d.join("subscription/topics.json")).filter(|p| p.is_file()) else {
            return Self::parse(BUILT_IN)
                .map_err(|e| Error::fault("the built-in topics.json does not read").caused_by(e));
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::invalid(format!("{} cannot be read: {e}", path.display())).caused_by(e))?;
        Self::parse(&text).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
    }

    fn parse(text: &str) -> Result<Self> {
        let topics: Self = serde_json::from_str(text).map_err(|e| Error::invalid(format!("no list of topics: {e}")))?;
        for (n, topic) in topics.topics.iter().enumerate() {
            if topics.topics.iter().take(n).any(|t| t.name == topic.name) {
                return Err(Error::invalid(format!("the topic '{}' stands twice", topic.name)));
            }
            let rtype = topic.criteria.split_once('?').map(|(rtype, _)| rtype);
            if rtype.and_then(ResourceType::parse).is_none() {
                return Err(Error::invalid(format!("the criteria of the topic '{}' are no Type?query", topic.name)));
            }
        }
        Ok(topics)
    }

    /// Addresses of all of them.
    pub(in crate::interaction) fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        self.topics.iter().map(|t| format!("{BASE}{}", t.name))
    }

    /// The topic at an address.
    pub(super) fn at(&self, address: &str) -> Option<&Topic> {
        let name = address.strip_prefix(BASE)?;
        self.topics.iter().find(|t| t.name == name)
    }

    /// Whether a client may be sent whole resources.
    pub(super) fn sends_whole(&self, client: &str) -> bool {
        self.full_resource.iter().any(|c| c == client)
    }
}

impl Topic {
    /// The search that it stands for; `None`: it is for callers with an organisation, and this one has none.
    pub(super) fn criteria(&self, org: Option<&str>) -> Option<String> {
        match org {
            Some(org) => Some(self.criteria.replace(ORG, org)),
            None => Some(self.criteria.clone()).filter(|c| !c.contains(ORG)),
        }
    }

    pub(super) fn takes(&self, parameter: &str) -> bool {
        let name = parameter.split([':', '.']).next().unwrap_or_default();
        self.filters.iter().any(|f| f == name)
    }

    pub(super) fn filters(&self) -> String {
        self.filters.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_topics_read_and_are_found_by_address() {
        let topics = Topics::parse(BUILT_IN).unwrap();
        assert_eq!(topics.addresses().count(), 7);
        let mine = topics.at("http://baton.example/fhir/SubscriptionTopic/task-mine").unwrap();
        assert_eq!(mine.criteria(Some("elm")).as_deref(), Some("Task?owner=Organization/elm"));
        assert_eq!(mine.criteria(None), None);
        assert!(mine.takes("status:not") && !mine.takes("subject"));
        assert!(topics.at("http://baton.example/fhir/SubscriptionTopic/none").is_none());
        assert!(!topics.sends_whole("anybody"));
        for bad in
            ["{}", r#"{"title":"","full-resource":[],"topics":[{"name":"a","title":"","criteria":"x","filters":[]}]}"#]
        {
            assert!(Topics::parse(bad).is_err(), "{bad}");
        }
    }
}
