//! The results of a test as JUnit XML, which continuous integration shows beside the code.

use super::{Counts, Ran, Results, Suite, text};
use anyhow::Result;
use fleetwarden_core::untrusted::xml as printable;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// The document: a test suite a file, a test case a case. It says nothing of times, so that the same results are
/// the same bytes.
pub(super) fn xml(results: &Results) -> Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let Counts { passed, failed, broken } = results.counts();
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "fleetwarden policy test"));
    numbers(&mut root, passed + failed + broken, failed, broken);
    writer.write_event(Event::Start(root))?;
    for suite in &results.suites {
        written(&mut writer, suite)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut xml = writer.into_inner();
    xml.push(b'\n');
    Ok(xml)
}

fn written(writer: &mut Writer<Vec<u8>>, suite: &Suite) -> Result<()> {
    let path = printable(&suite.path.display().to_string());
    let mut start = BytesStart::new("testsuite");
    start.push_attribute(("name", path.as_str()));
    match &suite.cases {
        Ok(cases) => {
            let failed = cases.iter().filter(|ran| ran.failure.is_some()).count();
            numbers(&mut start, cases.len(), failed, 0);
            writer.write_event(Event::Start(start))?;
            for Ran { name, place, failure } in cases {
                let line = place.line.to_string();
                let name = printable(name);
                let attributes = [("classname", &path), ("name", &name), ("file", &path), ("line", &line)];
                let case = BytesStart::new("testcase");
                let case = case.with_attributes(attributes.map(|(key, value)| (key, value.as_str())));
                let Some(failure) = failure else {
                    writer.write_event(Event::Empty(case))?;
                    continue;
                };
                let differences = text::differences(failure);
                let first =
                    failure.differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                said(writer, case, "failure", &first, &format!("{differences}\n\n{}", failure.why))?;
            }
        }
        Err(why) => {
            numbers(&mut start, 1, 0, 1);
            writer.write_event(Event::Start(start))?;
            let case = BytesStart::new("testcase");
            let case = case.with_attributes([("classname", path.as_str()), ("name", "the file can be used")]);
            said(writer, case, "error", "the file cannot be used", why)?;
        }
    }
    Ok(writer.write_event(Event::End(BytesEnd::new("testsuite")))?)
}

/// A test case that did not pass.
fn said(
    writer: &mut Writer<Vec<u8>>,
    case: BytesStart<'_>,
    how: &str,
    message: &str,
    text: &str,
) -> Result<()> {
    writer.write_event(Event::Start(case))?;
    let mut start = BytesStart::new(how);
    start.push_attribute(("message", printable(message).as_str()));
    writer.write_event(Event::Start(start))?;
    writer.write_event(Event::Text(BytesText::new(&printable(text))))?;
    writer.write_event(Event::End(BytesEnd::new(how)))?;
    Ok(writer.write_event(Event::End(BytesEnd::new("testcase")))?)
}

fn numbers(start: &mut BytesStart<'_>, tests: usize, failures: usize, errors: usize) {
    for (key, number) in [("tests", tests), ("failures", failures), ("errors", errors)] {
        start.push_attribute((key, number.to_string().as_str()));
    }
}
