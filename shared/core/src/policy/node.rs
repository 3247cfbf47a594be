//! YAML as far as a policy needs it: texts, lists and mappings, each with its place in the file.
//!
//! Anchors, aliases, tags and further documents are refused: a policy says what it means where it means it,
//! and what cannot refer to itself cannot explode. The limits below keep hostile files cheap.

use std::borrow::Cow;

use granit_parser::Event;
use granit_parser::Options;
use granit_parser::Parser;
use granit_parser::ScalarStyle;
use granit_parser::Span;

use super::diagnostic::Diagnostic;
use super::diagnostic::Place;

/// How deep a file may nest. The language itself needs six levels.
const MAX_DEPTH: usize = 16;
/// How many keys a mapping may have. The largest of the language has a dozen.
const MAX_KEYS: usize = 64;

/// A value of the file.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) place: Place,
    pub(super) value: Value<'t>,
}

#[derive(Debug)]
pub(super) enum Value<'t> {
    /// A text. Only a plain one can also be a number, a flag or nothing.
    Text {
        text: Cow<'t, str>,
        plain: bool,
    },
    List(Vec<Node<'t>>),
    Map(Vec<(Node<'t>, Node<'t>)>),
}

impl<'t> Node<'t> {
    /// Reads the one document of a file.
    pub(super) fn read(text: &'t str) -> Result<Self, Diagnostic> {
        // An alias without an anchor is most likely a pattern without quotes, and is told as that.
        let mut options = Options::default();
        options.emit_unresolved_aliases = true;
        let mut events = Events(Parser::new_from_str_with_options(text, options));
        let mut root = None;
        loop {
            let (event, place) = events.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_none() => {}
                Event::DocumentStart(..) => {
                    return Err(Diagnostic::error(place, "a second document begins; a file has one"));
                }
                event => root = Some(node(event, place, &mut events, 0)?),
            }
        }
        root.ok_or_else(|| Diagnostic::error(Place::default(), "the file is empty"))
    }

    /// The value of a member, if this is a mapping that has it.
    pub(super) fn member(&mut self, name: &str) -> Option<&mut Self> {
        let Value::Map(members) = &mut self.value else { return None };
        members.iter_mut().find_map(|(key, value)| (text_of(key) == Some(name)).then_some(value))
    }

    /// Takes out a member. The place of its key comes back, if there was one.
    pub(super) fn take_member(&mut self, name: &str) -> Option<Place> {
        let Value::Map(members) = &mut self.value else { return None };
        let at = members.iter().position(|(key, _)| text_of(key) == Some(name))?;
        Some(members.remove(at).0.place)
    }

    /// Takes out the innermost member or item that is, or whose key is, at a place below this node. The place of the
    /// list or mapping that it was in comes back, if there was one.
    pub(super) fn prune(&mut self, place: Place) -> Option<Place> {
        let inner = match &mut self.value {
            Value::Text { .. } => return None,
            Value::List(items) => items.iter_mut().find_map(|item| item.prune(place)),
            Value::Map(members) => members.iter_mut().find_map(|(_, value)| value.prune(place)),
        };
        inner.or_else(|| {
            let taken = match &mut self.value {
                Value::Text { .. } => false,
                Value::List(items) => take(items, |item| item.place == place),
                Value::Map(members) => {
                    take(members, |(key, value)| key.place == place || value.place == place)
                }
            };
            taken.then_some(self.place)
        })
    }

    /// Whether it is nothing: a key without a value, `~` or `null`.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Text { text, plain: true } if matches!(&**text, "" | "~" | "null"))
    }
}

/// Takes the first that is meant out of a list.
fn take<T>(list: &mut Vec<T>, is: impl FnMut(&T) -> bool) -> bool {
    let found = list.iter().position(is);
    found.map(|at| list.remove(at)).is_some()
}

struct Events<'t>(Parser<'t, granit_parser::StrInput<'t>>);

impl<'t> Events<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Diagnostic> {
        match self.0.next() {
            Some(Ok((event, span))) => Ok((event, start(&span))),
            Some(Err(error)) => {
                let place = place(error.marker());
                Err(Diagnostic::error(place, format!("this is no YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }
}

fn start(span: &Span) -> Place {
    place(&span.start)
}

fn place(marker: &granit_parser::Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(marker.line()), column: number(marker.col() + 1) }
}

/// A value whose first event has been read already.
fn node<'t>(
    event: Event<'t>,
    place: Place,
    events: &mut Events<'t>,
    depth: usize,
) -> Result<Node<'t>, Diagnostic> {
    let refuse = |what: &str| Err(Diagnostic::error(place, what));
    if depth > MAX_DEPTH {
        return refuse("this nests too deeply");
    }
    let anchored = match &event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag) => {
            if tag.is_some() {
                return refuse("a tag ('!…') has no place here");
            }
            *anchor != 0
        }
        _ => false,
    };
    if anchored {
        return refuse("an anchor ('&…') has no place here; write the value where it is needed");
    }
    let value = match event {
        Event::Scalar(text, style, ..) => Value::Text { text, plain: style == ScalarStyle::Plain },
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next()? {
                    (Event::SequenceEnd, _) => break Value::List(items),
                    (event, place) => items.push(node(event, place, events, depth + 1)?),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut members: Vec<(Node<'t>, Node<'t>)> = Vec::new();
            loop {
                let key = match events.next()? {
                    (Event::MappingEnd, _) => break Value::Map(members),
                    (event, place) => node(event, place, events, depth + 1)?,
                };
                let same = |(known, _): &&(Node<'_>, Node<'_>)| text_of(known) == text_of(&key);
                let Some(text) = text_of(&key) else {
                    return Err(Diagnostic::error(key.place, "a key is one text"));
                };
                if let Some((first, _)) = members.iter().find(same) {
                    let what = format!("the key '{text}' stands in line {} already", first.place.line);
                    return Err(Diagnostic::error(key.place, what));
                }
                if members.len() == MAX_KEYS {
                    let what = format!("a mapping has at most {MAX_KEYS} keys");
                    return Err(Diagnostic::error(key.place, what));
                }
                let (event, place) = events.next()?;
                members.push((key, node(event, place, events, depth + 1)?));
            }
        }
        Event::Alias(_) | Event::UnresolvedAlias(_) => {
            return refuse("an alias ('*…') has no place here; put a pattern with '*' in quotes");
        }
        _ => return refuse("this has no place here"),
    };
    Ok(Node { place, value })
}

fn text_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Text { text, .. } => Some(text),
        Value::List(_) | Value::Map(_) => None,
    }
}
