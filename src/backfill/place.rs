//! Where the records of a data set are listed, read and written.

use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Method;
use crate::catalog::Records;
use crate::catalog::Route;
use crate::catalog::Segment;
use crate::catalog::Selector;
use crate::protocol::http::Target;
use crate::transform::Shape;
use crate::types::FieldPath;

use super::error::BackfillError;

/// Where the records of a data set are listed, read and written.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) set: Arc<DataSet>,
    pub(super) shape: Arc<Shape>,
    list: Arc<Route>,
    pub(super) listed: Selector,
    /// Where the one record stands in the answer to a read.
    pub(super) read: Selector,
    pub(super) write: Arc<Route>,
    pub(super) paging: Paging,
}

/// How the pages of the list are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Paging {
    /// There are none: one answer holds everything.
    Whole,
    /// By how many records are skipped.
    Offset { offset: Box<str>, limit: Option<Box<str>> },
    /// By the number of the page, from 1.
    Page { page: Box<str>, limit: Option<Box<str>> },
    /// By a value of the last record.
    After { after: Box<str>, field: FieldIx, limit: Option<Box<str>> },
}

/// Where in the list a page begins.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    /// Records before it.
    pub(super) records: u64,
    /// Pages before it.
    pub(super) pages: u64,
    /// The last record's value, where pages are asked for by one.
    pub(super) after: Option<&'a str>,
}

impl Place {
    /// Finds the routes of a data set.
    ///
    /// # Errors
    /// When there are none that fit.
    pub(super) fn of(set: &Arc<DataSet>, cursor: Option<&str>) -> Result<Self, BackfillError> {
        let (list, listed, paging) = list(set, cursor)?;
        let (write, read) = write(set).ok_or_else(|| BackfillError::NoWrite(set.id.clone()))?;
        let shape = Arc::new(Shape::new(set));
        Ok(Self { set: Arc::clone(set), shape, list, listed, read, write, paging })
    }

    /// The route of the list, as logs may name it.
    pub(super) fn route(&self) -> Arc<str> {
        format!("{} {}", self.write.method, self.write.template).into()
    }

    /// Where a page of the list is asked for; `None` where no such page can be.
    pub(super) fn page(&self, from: From<'_>) -> Option<Target> {
        let path = self.list.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(text) => Some(&**text),
            Segment::Variable(_) => None,
        });
        let mut query = Vec::new();
        let mut ask = |name: &str, value: String| query.push((name.to_owned(), value));
        let limit = match &self.paging {
            Paging::Whole => None,
            Paging::Offset { offset, limit } => {
                ask(offset, from.records.to_string());
                limit.as_deref()
            }
            Paging::Page { page, limit } => {
                ask(page, (from.pages + 1).to_string());
                limit.as_deref()
            }
            Paging::After { after, limit, .. } => {
                from.after.into_iter().for_each(|value| ask(after, value.to_owned()));
                limit.as_deref()
            }
        };
        limit.into_iter().for_each(|limit| ask(limit, PAGE.to_string()));
        Some(Target::of_segments(path).ok()?.with_query(query))
    }

    /// Where one record is read and written. `value`: its fields.
    pub(super) fn record<'v>(
        &self,
        value: impl Fn(FieldIx) -> Option<std::borrow::Cow<'v, str>>,
    ) -> Option<Target> {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(text.to_string()),
            Segment::Variable(field) => value(*field).map(std::borrow::Cow::into_owned),
        };
        let path: Option<Vec<String>> = self.write.segments.iter().map(segment).collect();
        Target::of_segments(path?.iter().map(String::as_str)).ok()
    }
}

/// The list of a data set: one that has pages before one that has none.
fn list(
    set: &DataSet,
    cursor: Option<&str>,
) -> Result<(Arc<Route>, Selector, Paging), BackfillError> {
    let lists = set.routes.iter().filter_map(|route| {
        let is_list = route.method == Method::Get
            && route.opaque.is_none()
            && route.segments.iter().all(|part| matches!(part, Segment::Literal(_)));
        let selector = route.records.as_ref().filter(|it| is_list && it.records == Records::Each);
        Some((route, selector?.clone()))
    });
    let mut found: Vec<_> = lists
        .map(|(route, selector)| (Arc::clone(route), selector, paging(route, set, cursor)))
        .collect();
    if found.is_empty() {
        return Err(BackfillError::NoList(set.id.clone()));
    }
    found.sort_by_key(|(_, _, paging)| match paging {
        Some(Paging::Whole) => 1,
        Some(_) => 0,
        None => 2,
    });
    match found.into_iter().next() {
        Some((route, selector, Some(paging))) => Ok((route, selector, paging)),
        _ => Err(BackfillError::Cursor),
    }
}

/// How a list has its pages asked for; `None` when it does not take the named cursor.
fn paging(route: &Route, set: &DataSet, cursor: Option<&str>) -> Option<Paging> {
    let named = |names: &[&str]| {
        let takes = |name: &&&str| route.query.iter().any(|known| **known == ***name);
        names.iter().find(takes).map(|name| Box::from(*name))
    };
    let limit = named(LIMIT_NAMES);
    if let Some(cursor) = cursor {
        let (after, field) = cursor.split_once('=')?;
        let field = set.find(&FieldPath::parse(field).ok()?)?;
        let after = route.query.iter().find(|known| ***known == *after)?.clone();
        return Some(Paging::After { after, field, limit });
    }
    if let Some(offset) = named(OFFSET_NAMES) {
        return Some(Paging::Offset { offset, limit });
    }
    if let Some(page) = named(PAGE_NAMES) {
        return Some(Paging::Page { page, limit });
    }
    Some(Paging::Whole)
}

/// The route that changes a part of one record, else the one that replaces it; and where the
/// record stands when the same path is read.
fn write(set: &DataSet) -> Option<(Arc<Route>, Selector)> {
    let by = |method: Method| {
        set.routes.iter().find_map(|route| {
            let fits = route.method == method && route.opaque.is_none() && route.records.is_some();
            let reads = set
                .routes
                .iter()
                .find(|other| other.method == Method::Get && other.template == route.template);
            let read = reads?.records.clone().filter(|it| it.records == Records::One)?;
            fits.then(|| (Arc::clone(route), read))
        })
    };
    by(Method::Patch).or_else(|| by(Method::Put))
}

/// How many records are asked for at a time.
pub(super) const PAGE: usize = 100;
/// What parameters are called that say how many records are skipped.
const OFFSET_NAMES: &[&str] = &["offset", "_offset", "start", "_start", "skip", "_skip"];
/// What parameters are called that say which page is meant.
const PAGE_NAMES: &[&str] = &["page", "_page"];
/// What parameters are called that say how many records are wanted.
const LIMIT_NAMES: &[&str] =
    &["limit", "_limit", "per_page", "_per_page", "page_size", "_page_size", "size"];
