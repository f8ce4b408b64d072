//! What is searched by at this moment: parameters and zone, as one snapshot that is swapped whole.
//!
//! A request takes the snapshot once and keeps it; nobody waits for a change, and a change waits for nobody.
//! Not for: what decides on a change (`store/parameter.rs`), or who carries it out (`worker`).

use super::matches::Doc;
use super::registry::Building;
use super::{Env, Registry};
use crate::fhir::Json;
use bytes::Bytes;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The parameters and the zone of one moment.
#[derive(Debug)]
pub struct Active {
    /// Counts the changes of this database: what was extracted under an older one may lack rows.
    pub generation: i64,
    /// The search parameters.
    pub registry: Registry,
    /// Address and zone of this server.
    pub env: Env,
    /// Parameters whose rows are being made, by the names that the database has for them.
    pub building: Vec<(String, Arc<Building>)>,
    /// SearchParameter resources in force that are not stored: those of `profiles/search`.
    pub own: Vec<Json>,
    /// What the server publishes about itself, once somebody asked for it.
    pub published: Memo<Vec<Published>>,
    /// The CapabilityStatement that lists them, once somebody asked for it.
    pub statement: Memo<Bytes>,
    /// The OpenAPI document, once somebody asked for it.
    pub openapi: Memo<Bytes>,
}

/// What is made once of each programme: a request that began by an older one may still ask while a newer one is in force, and
/// must not leave its own for those that come.
#[derive(Debug)]
pub struct Memo<T> {
    made: OnceLock<(u64, T)>,
    next: OnceLock<Box<Memo<T>>>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { made: OnceLock::new(), next: OnceLock::new() }
    }
}

impl<T> Memo<T> {
    /// What was made of the programme with this number; made now where nobody has asked before.
    pub fn get_or_make(&self, programme: u64, make: &dyn Fn() -> T) -> &T {
        let (of, made) = self.made.get_or_init(|| (programme, make()));
        match *of == programme {
            true => made,
            false => self.next.get_or_init(Box::default).get_or_make(programme, make),
        }
    }
}

/// A resource that is there without being stored.
#[derive(Debug)]
pub struct Published {
    /// Where, and what it is found by.
    pub doc: Doc,
    /// As it is answered.
    pub body: Bytes,
    /// The same as a tree.
    pub json: Arc<Json>,
}

impl Active {
    /// A snapshot.
    #[must_use]
    pub fn new(generation: i64, registry: Registry, env: Env) -> Self {
        Self {
            generation,
            registry,
            env,
            building: Vec::new(),
            own: Vec::new(),
            published: Memo::default(),
            statement: Memo::default(),
            openapi: Memo::default(),
        }
    }
}

/// The snapshot in force.
#[derive(Debug)]
pub struct Live(RwLock<Arc<Active>>);

impl Live {
    /// Begins with a snapshot.
    #[must_use]
    pub fn new(active: Active) -> Self {
        Self(RwLock::new(Arc::new(active)))
    }

    /// The snapshot in force. The lock is held for the copy of a pointer.
    #[must_use]
    pub fn now(&self) -> Arc<Active> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a newer snapshot in force; an older one changes nothing, so that two who bring news cannot undo each other.
    pub fn advance(&self, active: Active) {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if active.generation > slot.generation {
            *slot = Arc::new(active);
        }
    }

    /// Forgets what the server has published about itself: it has changed, and is made again when somebody asks. To be called
    /// after the change.
    pub fn forget_published(&self) {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let now = &**slot;
        *slot = Arc::new(Active {
            building: now.building.clone(),
            own: now.own.clone(),
            ..Active::new(now.generation, now.registry.clone(), now.env.clone())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_snapshot_does_not_replace_a_newer_one() {
        let active = |generation| Active::new(generation, Registry::builtin(), Env::utc("http://b/fhir"));
        let live = Live::new(active(3));
        let kept = live.now();
        live.advance(active(2));
        assert_eq!(live.now().generation, 3);
        live.advance(active(4));
        assert_eq!((live.now().generation, kept.generation), (4, 3), "who has a snapshot keeps it");
    }

    #[test]
    fn what_was_published_is_made_again_after_a_change() {
        let live = Live::new(Active::new(3, Registry::builtin(), Env::utc("http://b/fhir")));
        let now = |programme, text: &'static str| {
            live.now().statement.get_or_make(programme, &|| Bytes::from_static(text.as_bytes())).clone()
        };
        assert_eq!(
            (now(0, "a"), now(0, "b"), now(1, "c"), now(0, "d")),
            ("a".into(), "a".into(), "c".into(), "a".into())
        );
        live.forget_published();
        assert_eq!((live.now().generation, now(1, "e"), now(0, "f")), (3, "e".into(), "f".into()));
    }
}
