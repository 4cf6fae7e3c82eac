//! The configuration in use, with origins and without secrets, and what became of the last reloads.

use serde::Serialize;
use utoipa::ToSchema;

use super::state::Admin;
use crate::settings::effective::ShownSection;
use crate::settings::record::Section;

/// What the daemon was told.
#[derive(Serialize, ToSchema)]
pub(super) struct Configuration {
    pub(super) sections: Vec<SectionShown>,
    /// What is allowed but worth a warning.
    pub(super) warnings: Vec<String>,
    /// The last reloads, newest first.
    pub(super) reloads: Vec<ReloadShown>,
}

/// A section, source or sink.
#[derive(Serialize, ToSchema)]
pub(super) struct SectionShown {
    /// As it stands in the file.
    pub(super) title: String,
    pub(super) name: Option<String>,
    pub(super) keys: Vec<KeyShown>,
}

/// One key.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyShown {
    pub(super) key: &'static str,
    /// As it stands in the file; secrets by their origin alone.
    pub(super) value: String,
    /// `default`, `file`, or the variable that says it.
    pub(super) origin: &'static str,
    /// Whether only a restart changes it.
    pub(super) restart: bool,
}

/// One reload.
#[derive(Serialize, ToSchema)]
pub(super) struct ReloadShown {
    pub(super) at: String,
    /// Whether it was taken.
    pub(super) ok: bool,
    /// What it changed, or every fault it was refused for.
    pub(super) words: Vec<String>,
}

impl Configuration {
    /// The one in use.
    pub(super) fn of(admin: &Admin) -> Self {
        let view = admin.view.load();
        let reloads = admin.reloads.all().into_iter().map(|reload| {
            let ok = reload.outcome.is_ok();
            let words = reload.outcome.unwrap_or_else(|faults| faults);
            ReloadShown { at: format!("{:.0}", reload.at), ok, words }
        });
        Self {
            sections: view.sections.iter().flat_map(Section::shown).map(SectionShown::from).collect(),
            warnings: view.warnings.clone(),
            reloads: reloads.collect(),
        }
    }
}

impl From<ShownSection> for SectionShown {
    fn from(section: ShownSection) -> Self {
        let keys = section.keys.into_iter().map(|key| KeyShown {
            key: key.key,
            value: key.value,
            origin: key.origin,
            restart: key.restart,
        });
        Self { title: section.title, name: section.name, keys: keys.collect() }
    }
}
