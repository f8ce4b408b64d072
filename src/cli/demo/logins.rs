//! People who log in to the demo in a browser, and an app for them.
//!
//! A password is made at each start, printed, and kept as a hash: none stands in the repository.

use crate::auth::password::Passwords;
use crate::auth::token::random_text;
use crate::cli::open;
use crate::config::Settings;
use crate::error::Result;
use crate::store::Store;
use crate::store::audit::Happening;
use crate::store::oauth::User;

/// Login of the patient around whom the story turns.
pub const PATIENT: &str = "samir";
/// Whose patient that is.
const HOSPITAL: &str = "northgate";
/// An app that anybody may write, in a browser on this machine.
pub const APP: &str = "baton-demo-app";
/// Where it gets its codes.
pub const REDIRECT_URI: &str = "http://127.0.0.1:8090/callback";
/// Who else logs in.
const PEOPLE: [&str; 4] = ["mara", "jonas", "tomas", "ines"];

/// Gives all of them one new password, and the patient of the story a login; gives the password.
///
/// # Errors
/// What the store says.
pub async fn open(store: &Store, settings: &Settings, patient: &str) -> Result<String> {
    let password = random_text::<12>()?;
    let user = User {
        name: PATIENT.into(),
        sub: uuid::Uuid::new_v4().to_string(),
        org: Some(HOSPITAL.into()),
        role: "patient".into(),
        practitioner: None,
        practitioner_role: None,
        is_active: true,
        password: String::new(),
        patient: Some(patient.into()),
    };
    store.put_oauth_user(user).await?;
    let hashed = Passwords::new(&settings.limits).hash(&password).await?;
    for name in PEOPLE.into_iter().chain([PATIENT]) {
        store.set_password(name, &hashed).await?;
    }
    open::note(store, Happening::AccountsChanged, "users of the demo".into(), "new password");
    Ok(password)
}
