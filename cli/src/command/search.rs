//! `coditect search TEXT`

use std::collections::{BTreeMap, BTreeSet};

use coditect::text::{folded, nfc};
use coditect::{ContextStore, Entry, Error, Filter, Kind};
use serde_json::{Value, json};

use super::record::{Ids, project, text, truncate};
use crate::arguments::{Common, SearchArguments};
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

/// The most characters of a long text that are shown before the match.
const MAX_CONTEXT_BEFORE: usize = 20;

pub(super) fn search(printer: Printer, common: &Common, arguments: SearchArguments) -> Result<ExitStatus, Error> {
    let texts: Vec<String> = arguments.texts.words().iter().map(|text| nfc(text.trim()).into_owned()).collect();
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        let hint = "`coditect search TEXT` finds what has TEXT in it; `coditect task list` shows all tasks.";
        return Ok(printer.failure("No text to search for was given.", hint, "nothing_said", ExitStatus::Usage));
    }
    let store = ContextStore::open(common.home.clone())?;
    let project_id = arguments.filter.project.as_deref().map(project).transpose()?;
    let wanted = Filter { project_id, status: None, limit: arguments.filter.limit.saturating_add(1) };
    let mut entries = store.search(&texts, &wanted)?;
    truncate(printer, &mut entries, arguments.filter.limit);
    if entries.is_empty() {
        let sentence = format!("Nothing on this machine has {} in it.", one_line(&texts.join(" and ")));
        return Ok(printer.answer(&json!({ "data": [] }), &sentence, ExitStatus::No));
    }
    let object = json!({ "data": entries });
    if printer.json {
        return Ok(printer.answer(&object, "", ExitStatus::Yes));
    }
    let kinds: BTreeSet<Kind> = entries.iter().map(|entry| entry.kind).collect();
    let ids: BTreeMap<Kind, Ids> =
        kinds.into_iter().map(|kind| Ok((kind, Ids::of(&store, kind)?))).collect::<Result<_, Error>>()?;
    let found: Vec<(Entry, String)> = entries.into_iter().map(|entry| with_match(entry, &texts[0])).collect();
    Ok(printer.answer(&object, &text::search_results(&found, &ids, coditect::now()), ExitStatus::Yes))
}

/// A record, and of its texts the one in which the first was found, from a little before that on; its title if that has it.
fn with_match(entry: Entry, text: &str) -> (Entry, String) {
    let text = folded(text);
    let has = |candidate: &&str| folded(candidate).contains(&text);
    let mut all = Vec::new();
    texts_of(&entry.content, &mut all);
    let title = text::title(&entry.content);
    let shown = match title.filter(has).or_else(|| all.into_iter().find(has)) {
        None => title.map_or_else(|| entry.content.to_string(), str::to_owned),
        Some(found) => {
            let found = nfc(found);
            let before = folded(&found).split(&text).next().map_or(0, |before| before.chars().count());
            let skipped = before.saturating_sub(MAX_CONTEXT_BEFORE);
            let rest: String = found.chars().skip(skipped).collect();
            if skipped == 0 { rest } else { format!("…{rest}") }
        }
    };
    (entry, shown)
}

/// All texts in a value.
fn texts_of<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts_of(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| texts_of(value, texts)),
        _ => {}
    }
}
