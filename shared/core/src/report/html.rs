//! A report as one page of HTML.
//!
//! It asks for nothing from elsewhere: the style is in it, there is no script, and its content security policy allows
//! neither, whatever a name from outside might smuggle in.

use std::fmt::Write;

use super::page::Block;
use super::page::HIDDEN;
use super::page::Page;
use super::page::Section;
use super::page::Table;
use super::page::Tone;
use super::page::Word;
use super::page::Words;
use super::page::grouped;
use super::page::moment;
use super::page::second;
use super::page::severity_word;
use super::page::status_word;
use crate::model::severity::Severity;
use crate::untrusted::html as escaped;

const STYLE: &str = include_str!("page.css");

/// Writes a report.
pub(super) fn render(page: &Page) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let tone = match page.tone {
        Tone::Bad => "bad",
        Tone::Unsure => "unsure",
        Tone::Open => "open",
        Tone::Good => "good",
    };
    let (kind, (section, skip)) = (page.kind, page.skip_to);
    let title = kind.to_lowercase();
    let headline = escaped(&page.headline);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n<meta name=\"color-scheme\" \
         content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<link rel=\"icon\" \
         href=\"data:,\">\n<title>{headline} – {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<a \
         class=\"skip\" href=\"#{section}\">Skip to {skip}</a>\n<header class=\"{tone}\">\n<p \
         class=\"kind\">{kind}</p>\n<h1>{headline}</h1>\n"
    );
    if !page.lead.is_empty() {
        let _ = writeln!(out, "<p class=\"lead\">{}</p>", escaped(&page.lead));
    }
    out.push_str("<dl>\n");
    for (name, words) in &page.facts {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", run(words));
    }
    out.push_str("</dl>\n</header>\n<main>\n");
    sections(&mut out, &page.sections);
    let _ = write!(out, "</main>\n<footer><p>{}</p></footer>\n</body>\n</html>\n", escaped(&page.foot));
    out
}

/// Writes the sections, those of level 3 as cards.
fn sections(out: &mut String, sections: &[Section]) {
    for section in sections {
        let Section { id, level, title, blocks } = section;
        let card = if *level == 3 { " class=\"card\"" } else { "" };
        // A wide table scrolls in its section, and without a pointer only what has the focus scrolls.
        let scrolls = *level == 2 && blocks.iter().any(|part| matches!(part, Block::Table(_)));
        let focus = if scrolls { " tabindex=\"0\"" } else { "" };
        let _ = writeln!(out, "<section{card} id=\"{id}\" aria-labelledby=\"{id}-title\"{focus}>");
        let _ = writeln!(out, "<h{level} id=\"{id}-title\">{}</h{level}>", escaped(title));
        for part in blocks {
            block(out, part);
        }
        out.push_str("</section>\n");
    }
}

fn block(out: &mut String, part: &Block) {
    match part {
        Block::Text(words) => {
            let _ = writeln!(out, "<p>{}</p>", run(words));
        }
        Block::Label(label) => {
            let _ = writeln!(out, "<h4>{label}</h4>");
        }
        Block::Beside(texts) => {
            out.push_str("<div class=\"beside\">\n");
            for (label, words) in texts {
                let _ = writeln!(out, "<div>\n<h4>{label}</h4>\n<p>{}</p>\n</div>", run(words));
            }
            out.push_str("</div>\n");
        }
        Block::Steps(steps) => list(out, "ol", steps),
        Block::Items(items) => list(out, "ul", items),
        Block::Figures(figures) => {
            out.push_str("<dl class=\"figures\">\n");
            for (name, n) in figures {
                let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", grouped(*n));
            }
            out.push_str("</dl>\n");
        }
        Block::Severities(counts) => bar(out, counts),
        Block::Table(part) => table(out, part),
        Block::Chart { image, words } => {
            let _ = writeln!(
                out,
                "<figure>\n<img class=\"chart\" width=\"400\" height=\"220\" alt=\"Chart of what is said below\" \
                 src=\"{}\">\n<figcaption>{}</figcaption>\n</figure>",
                escaped(image).replace("&#39;", "'"),
                escaped(words)
            );
        }
        Block::Folded(title, part) => {
            let _ = writeln!(out, "<details>\n<summary>{}</summary>", escaped(title));
            table(out, part);
            out.push_str("</details>\n");
        }
    }
}

fn list(out: &mut String, tag: &str, items: &[Words]) {
    let _ = writeln!(out, "<{tag}>");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", run(item));
    }
    let _ = writeln!(out, "</{tag}>");
}

/// A bar of severities, and the same in words.
fn bar(out: &mut String, counts: &[(Severity, u64)]) {
    out.push_str("<div class=\"severities\">\n<div class=\"bar\" aria-hidden=\"true\">");
    for (severity, n) in counts {
        let _ = write!(out, "<i class=\"{}\" style=\"flex-grow:{n}\"></i>", severity_word(*severity));
    }
    out.push_str("</div>\n<ul>");
    for (severity, n) in counts {
        let word = severity_word(*severity);
        let _ = write!(out, "<li class=\"{word}\"><b>{}</b> {word}</li>", grouped(*n));
    }
    out.push_str("</ul>\n</div>\n");
}

/// A table, whose cells say what they are: on a narrow screen each row is a card.
fn table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "<table>\n<caption>{}</caption>\n<thead><tr>", escaped(&table.caption));
    for (at, head) in table.heads.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{head}</th>", number(table, at));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, (head, words)) in table.heads.iter().zip(row).enumerate() {
            let (open, close) = if at == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            let number = number(table, at);
            let _ = write!(out, "<{open} data-head=\"{head}\"{number}>{}</{close}>", run(words));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
    if table.more > 0 {
        let _ = writeln!(out, "<p class=\"more\">and {} more</p>", grouped(table.more));
    }
}

/// How the cells of a column are marked, so that numbers stand below one another.
fn number(table: &Table, column: usize) -> &'static str {
    if table.counts(column) { " class=\"number\"" } else { "" }
}

fn run(words: &[Word]) -> String {
    words.iter().map(word).collect()
}

fn word(word: &Word) -> String {
    match word {
        Word::Own(text) => escaped(text),
        Word::Text(text) => {
            let (long, text) = broken(text);
            format!("<bdi{long}>{text}</bdi>")
        }
        Word::Number(n) => grouped(*n),
        Word::Faint(text) => format!("<span class=\"faint\">{text}</span>"),
        Word::Code(name) => {
            // The style sheet keeps a name in one line where there is room, unless it is long.
            let long = if name.chars().count() > 32 { " class=\"long\"" } else { "" };
            format!("<code{long}>{}</code>", breakable(name))
        }
        Word::Time(at) => format!("<time datetime=\"{}\">{}</time>", at.rfc3339(), moment(*at)),
        Word::Second(at) => format!("<time datetime=\"{}\">{}</time>", at.rfc3339(), second(*at)),
        Word::Severity(severity) => {
            let word = severity_word(*severity);
            format!("<span class=\"severity {word}\">{word}</span>")
        }
        Word::Severe(severity, n) => {
            let word = severity_word(*severity);
            format!("<span class=\"severity {word}\">{} {word}</span>", grouped(*n))
        }
        Word::Hidden => format!("<span class=\"status hidden\">{HIDDEN}</span>"),
        Word::Status(status) => {
            let class = status.as_str().to_lowercase().replace('_', "-");
            format!("<span class=\"status {class}\">{}</span>", status_word(*status))
        }
        Word::Page(title, address) => format!("<a href=\"{address}\" rel=\"noreferrer\">{title}</a>"),
        Word::Section(title, id) => {
            let (long, title) = broken(title);
            format!("<a{long} href=\"#{id}\">{title}</a>")
        }
    }
}

/// A text, and how it is marked if it may be broken anywhere, so that no column gets too wide.
fn broken(text: &str) -> (&'static str, String) {
    let long = text.split_whitespace().any(|word| word.chars().count() > 20);
    if long { (" class=\"long\"", breakable(text)) } else { ("", escaped(text)) }
}

/// A text that is rather broken after an underscore than elsewhere.
fn breakable(text: &str) -> String {
    escaped(text).replace('_', "_<wbr>")
}
