//! Which kinds of data were concerned, and in which form they were shown.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde_json::value::RawValue;

use crate::types::CategoryId;
use crate::types::Level;

use super::Shown;
use super::words;

/// A kind of data and the form it was shown in.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FieldView {
    /// What the field is.
    #[serde(with = "words::one")]
    pub category: CategoryId,
    /// How protected it is.
    #[serde(with = "words::one")]
    pub level: Level,
    /// The form it was shown in.
    #[serde(with = "words::one")]
    pub view: Shown,
}

/// The kinds of data of a plan, with their written form: many entries have the same, so it is
/// written once. Clones share it.
#[derive(Clone, Default)]
pub struct FieldViews(Option<Arc<Written>>);

struct Written {
    views: Box<[FieldView]>,
    json: Box<RawValue>,
}

impl From<Vec<FieldView>> for FieldViews {
    fn from(views: Vec<FieldView>) -> Self {
        if views.is_empty() {
            return Self(None);
        }
        // Words always have a written form.
        let json = serde_json::value::to_raw_value(&views).ok();
        Self(json.map(|json| Arc::new(Written { views: views.into(), json })))
    }
}

impl Deref for FieldViews {
    type Target = [FieldView];

    fn deref(&self) -> &[FieldView] {
        self.0.as_ref().map_or(&[], |written| &*written.views)
    }
}

impl fmt::Debug for FieldViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for FieldViews {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Serialize for FieldViews {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(written) => written.json.serialize(to),
            None => to.collect_seq(self.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for FieldViews {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::<FieldView>::deserialize(from).map(Self::from)
    }
}
