//! What the authorization server puts on record: who logged in, what was given, refused and taken back.
//!
//! Ids and codes, never a name of a person, a password, a token or a code. What strangers can cause without end goes through
//! [`AuthState::note_often`], which counts a flood and tells it once.
//! Source: security contract section 4; `docs/audit.md`.

use super::AuthState;
use crate::clock::Instant;
use crate::store::Audit;
use crate::store::audit::Happening;
use crate::store::oauth::{Client, User};

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scene<'a> {
    /// Network address.
    pub address: &'a str,
    /// `X-Request-Id`, sanitised.
    pub request_id: &'a str,
}

impl Scene<'_> {
    fn of(self, row: Audit) -> Audit {
        let address = Some(self.address).filter(|a| !a.is_empty());
        Audit { request_id: self.request_id.into(), ..row.from_address(address) }
    }
}

impl AuthState {
    /// Puts on record.
    pub fn note(&self, scene: Scene<'_>, row: Audit) {
        self.store.note(scene.of(row));
    }

    /// Puts on record what strangers can cause as often as they like.
    pub fn note_often(&self, scene: Scene<'_>, row: Audit) {
        self.store.note_often(scene.of(row));
    }

    /// The row of what a user did, or what was done for one. `client`: at which app; empty: at our own pages.
    #[must_use]
    pub fn of_user(&self, what: Happening, user: &User, client: &str, now: Instant) -> Audit {
        let mut row = Audit::happening(what, now, client, &user.name, 200);
        row.org = user.org.as_ref().map_or(0, |id| self.store.org_key(id));
        row.detail.org.clone_from(&user.org);
        row.detail.role.clone_from(&user.role);
        row.detail.subject = Some(self.subject(user));
        let person = user.practitioner.as_ref().map(|id| format!("Practitioner/{id}"));
        row.detail.person = person.or_else(|| user.patient.as_ref().map(|id| format!("Patient/{id}")));
        row
    }

    /// The row of what a client did for itself.
    #[must_use]
    pub fn of_client(&self, what: Happening, client: &Client, outcome: i64, now: Instant) -> Audit {
        let mut row = Audit::happening(what, now, &client.id, "", outcome);
        row.org = client.org.as_ref().map_or(0, |id| self.store.org_key(id));
        row.detail.org.clone_from(&client.org);
        row.detail.role.clone_from(&client.role);
        row
    }
}
