//! What each grant shows of each field.

use crate::catalog::DataSet;
use crate::catalog::Field;
use crate::catalog::FieldIx;
use crate::catalog::category::is_within;
use crate::policy::Generalize;
use crate::policy::View;
use crate::policy::source::Gives;
use crate::policy::source::Grant;
use crate::policy::source::Model;
use crate::policy::source::Shown;
use crate::policy::source::ViewSpec;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::doc::closest;

/// The views of each grant, by data set and field.
#[derive(Debug, Default)]
pub(super) struct Expanded(Vec<Vec<(usize, Box<[View]>)>>);

impl Expanded {
    /// The views that a grant gives in a data set.
    pub(super) fn views(&self, grant: usize, set: usize) -> Option<&[View]> {
        let sets = self.0.get(grant)?;
        sets.iter().find(|(at, _)| *at == set).map(|(_, views)| &**views)
    }
}

/// Expands every grant; reports fields nobody knows and views that do not fit.
pub(super) fn expand(model: &Model, faults: &mut Faults) -> Expanded {
    let grants = model.grants.iter().map(|grant| {
        known_fields(grant, model, faults);
        let sets = grant.sets.iter().filter_map(|at| {
            let set = model.sets.get(*at)?;
            let views = match &grant.gives {
                Gives::Fields(lines) => by_field(lines, set, faults),
                Gives::Categories(lines) => by_rule(lines, set, faults, |line, field| {
                    is_within(&field.category, &line.what).then(|| line.what.as_str().len())
                }),
                Gives::Levels(lines) => by_rule(lines, set, faults, |line, field| {
                    (field.level == line.what).then_some(0)
                }),
            };
            Some((*at, views))
        });
        sets.collect()
    });
    Expanded(grants.collect())
}

/// Reports fields that none of a grant's data sets has, and `rows` that not all of them have.
fn known_fields(grant: &Grant, model: &Model, faults: &mut Faults) {
    let sets = || grant.sets.iter().filter_map(|at| model.sets.get(*at));
    let any = |path: &FieldPath| sets().any(|set| set.within(path).next().is_some());
    let mut unknown = |path: &FieldPath, place| {
        let near = sets().flat_map(|set| &set.fields).map(|field| field.path.as_str());
        let near = closest(path.as_str(), near);
        let help = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        faults.error(place, format!("unknown field `{path}`"), help);
    };
    if grant.sets.is_empty() {
        return;
    }
    if let Gives::Fields(lines) = &grant.gives {
        for line in lines.iter().filter(|line| !any(&line.what)) {
            unknown(&line.what, &line.place);
        }
    }
    for (path, place) in &grant.find_by {
        if !sets().any(|set| set.find(path).is_some()) {
            unknown(path, place);
        }
    }
    for (path, place) in grant.writes.iter().filter(|(path, _)| !any(path)) {
        unknown(path, place);
    }
    for row in &grant.rows {
        if !sets().all(|set| set.find(&row.field).is_some()) {
            unknown(&row.field, &row.place);
        }
    }
    let is_sealed = |path: &FieldPath| {
        let mut fields = sets().filter_map(|set| set.get(set.find(path)?));
        fields.any(|field| field.at_rest.is_some())
    };
    for row in grant.rows.iter().filter(|row| is_sealed(&row.field)) {
        let what = format!("`{}` is sealed, so `rows` cannot match it", row.field);
        let help = "rows are matched before anything is opened: use a field that is not sealed";
        faults.error(&row.place, what, help);
    }
    let one_value = |path: &FieldPath| {
        let mut fields = sets().filter_map(|set| set.get(set.find(path)?));
        !path.as_str().contains("[*]") && fields.all(|field| !field.whole)
    };
    for row in grant.rows.iter().filter(|row| !one_value(&row.field)) {
        let what = format!("`{}` may have several values, so `rows` cannot match it", row.field);
        faults.error(&row.place, what, "use a field with one plain value");
    }
}

/// The longest path that covers a field counts: `address.city` before `address`.
fn by_field(lines: &[Shown<FieldPath>], set: &DataSet, faults: &mut Faults) -> Box<[View]> {
    for line in lines {
        fits_container(line, set, faults);
    }
    let views = set.fields.iter().map(|field| {
        let covers = lines.iter().filter(|line| field.path.is_within(&line.what));
        let line = covers.max_by_key(|line| line.what.as_str().len());
        line.map_or(View::Drop, |line| match &line.spec {
            ViewSpec::Plain(view) => view.of(field),
            ViewSpec::Part { child } => part(field, child, Some(&line.what)),
        })
    });
    views.collect()
}

/// Reports a view that cannot be applied where a line puts it.
fn fits_container(line: &Shown<FieldPath>, set: &DataSet, faults: &mut Faults) {
    let mut leaves = set.within(&line.what).filter_map(|ix| set.get(ix)).peekable();
    let Some(first) = leaves.peek() else { return };
    let container = first.path != line.what;
    let whole = first.whole && !container;
    let path = &line.what;
    match &line.spec {
        ViewSpec::Part { child } => {
            let wanted = path.child(child).ok();
            if !container {
                let what = format!("`{path}` has no children to keep one of");
                faults.error(&line.place, what, "list its `children:`, or use another view");
            } else if !leaves.any(|field| Some(&field.path) == wanted.as_ref()) {
                let what = format!("`{path}` has no child `{child}`");
                faults.error(&line.place, what, "use one of its `children:`");
            }
        }
        ViewSpec::Plain(View::Generalize(_)) if container => {
            let what = format!("`{path}` is a container and has no value to generalize");
            faults.error(&line.place, what, "name one of its children");
        }
        ViewSpec::Plain(View::Generalize(_) | View::Mask(_) | View::Pseudonymize(_)) if whole => {
            let what = format!("`{path}` is passed whole and has no single value to change");
            faults.error(&line.place, what, "show it or drop it");
        }
        ViewSpec::Plain(_) => {}
    }
}

/// Views by category or level; `fit` tells how closely a line fits a field.
fn by_rule<T>(
    lines: &[Shown<T>],
    set: &DataSet,
    faults: &mut Faults,
    fit: impl Fn(&Shown<T>, &Field) -> Option<usize>,
) -> Box<[View]> {
    let mut views = vec![View::Drop; set.fields.len()];
    for (field, view) in set.fields.iter().zip(&mut views) {
        let fits = lines.iter().filter_map(|line| Some((fit(line, field)?, line)));
        let Some((_, line)) = fits.max_by_key(|(closeness, _)| *closeness) else { continue };
        *view = match &line.spec {
            ViewSpec::Plain(View::Generalize(_) | View::Mask(_) | View::Pseudonymize(_))
                if field.whole =>
            {
                let what = format!("`{}` of `{}` is passed whole: dropped", field.path, set.id);
                faults.warning(&line.place, what, "show it or drop it in a grant by field");
                View::Drop
            }
            ViewSpec::Plain(view) => view.of(field),
            ViewSpec::Part { child } => {
                if !field.path.as_str().contains('.') {
                    let what = format!("`{}` has no children to keep one of", field.path);
                    faults.error(&line.place, what, "use this view in a grant by field");
                }
                part(field, child, None)
            }
        };
    }
    views.into()
}

/// The view of one leaf where a child stands for its container.
fn part(field: &Field, child: &str, container: Option<&FieldPath>) -> View {
    let kept = match container {
        Some(container) => container.child(child).is_ok_and(|path| path == field.path),
        None => field.path.as_str().rsplit_once('.').is_some_and(|(_, last)| last == child),
    };
    if kept { View::Generalize(Generalize::Part) } else { View::Drop }
}

/// The fields of a data set that a limit's `flags` and `levels` speak of.
pub(super) fn spoken_of(
    when: &crate::policy::source::When,
    set: &DataSet,
) -> impl Iterator<Item = FieldIx> {
    let any_flag = when.flags == crate::types::Flags::NONE;
    set.indexed()
        .filter(move |(_, field)| any_flag || field.flags.meets(when.flags))
        .filter(|(_, field)| when.levels.is_empty() || when.levels.contains(&field.level))
        .map(|(ix, _)| ix)
}
