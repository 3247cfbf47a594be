//! What is shown of a function's answer: all of it or what a query picks, as JSON, as a table or as text. The same for
//! every command that asks a stack.

mod query;
mod text;
pub(crate) mod value;

pub(crate) use query::Query;

use crate::aws::settings::Wanted;
use crate::output::{Layout, Painted, Width};
use crate::stack;
use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::Value;

/// Options of every command that asks a stack.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// The stack: in the account and region that the AWS CLI would use, or at `AWS_ENDPOINT_URL`
    #[arg(long, env = "FLEETWARDEN_STACK", default_value = stack::NAME, hide_env_values = true,
        value_parser = stack::name, global = true)]
    pub(crate) stack: String,
    #[command(flatten)]
    pub(crate) aws: Wanted,
    /// How the answer is shown. Left out: lists and mitigations as a table, a report as Markdown, all else as JSON
    #[arg(long, value_enum, global = true)]
    pub(crate) output: Option<Format>,
    /// What of the answer is shown, in JMESPath; as JSON if --output is left out
    #[arg(long, value_name = "EXPRESSION", global = true)]
    pub(crate) query: Option<String>,
    #[command(flatten)]
    width: Width,
    /// Taken as the AWS CLI takes it: there is no pager here
    #[arg(long, global = true, hide = true)]
    no_cli_pager: bool,
}

/// How an answer is shown: as JSON, as a table for people, or as lines with tabs between the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Table,
    Text,
}

/// What of an answer is shown, and how.
#[derive(Debug)]
pub(crate) struct View {
    format: Option<Format>,
    query: Option<Query>,
    /// The width of a table.
    pub(crate) layout: Layout,
}

impl Common {
    /// What is to be shown.
    ///
    /// # Errors
    /// If the query is no expression.
    pub(crate) fn view(&self) -> Result<View> {
        View::new(self.output, self.query.as_deref(), self.width.layout())
    }
}

impl View {
    /// A view of an answer.
    ///
    /// # Errors
    /// If the query is no expression.
    pub(crate) fn new(format: Option<Format>, query: Option<&str>, layout: Layout) -> Result<Self> {
        Ok(Self { format, query: query.map(Query::parse).transpose()?, layout })
    }

    /// The same, with this format where none is named.
    pub(crate) fn or(self, format: Format) -> Self {
        Self { format: self.format.or(Some(format)), ..self }
    }

    /// What is shown of an answer; nothing if that is empty. `usual` is how people read it if they ask for nothing else,
    /// and `table` is the whole of it as a table, if it has one of its own.
    ///
    /// # Errors
    /// If the query cannot take the answer.
    pub(crate) fn show(
        &self,
        answer: &Value,
        usual: impl FnOnce(Layout) -> Result<Painted>,
        table: impl FnOnce(Layout) -> Option<Painted>,
    ) -> Result<Option<Painted>> {
        let picked = self.query.as_ref().map(|query| query.pick(answer)).transpose()?;
        let value = picked.as_ref().unwrap_or(answer);
        let format = self.format.or(picked.as_ref().map(|_| Format::Json));
        let shown = match format {
            None => usual(self.layout)?,
            Some(Format::Json) => json(value)?,
            Some(Format::Text) => text::text(value).into(),
            Some(Format::Table) => {
                let own = if picked.is_none() { table(self.layout) } else { None };
                own.unwrap_or_else(|| value::table(value, self.layout))
            }
        };
        Ok(Some(shown).filter(|shown| !shown.is_empty()))
    }
}

/// A value as JSON.
///
/// # Errors
/// Never: a JSON value can be written.
pub(crate) fn json(value: &Value) -> Result<Painted> {
    Ok(serde_json::to_string_pretty(value)?.into())
}
