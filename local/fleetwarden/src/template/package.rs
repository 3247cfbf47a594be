//! What `sam package` does: local paths become objects in S3.
//!
//! A function's `CodeUri` becomes a zip with its release binary as `bootstrap`; a layer's `ContentUri`
//! becomes a zip of its folder. The artifacts are the same bytes for the same files.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Every artifact's place in the bucket and its bytes.
pub(crate) type Artifacts = Vec<(String, Vec<u8>)>;

/// Rewrites the template to point into `bucket` and returns what has to be put there.
///
/// `binaries` is the folder of the functions' release binaries, `root` the folder of the template.
pub(crate) fn package(template: &mut Value, root: &Path, binaries: &Path, bucket: &str) -> Result<Artifacts> {
    let mut artifacts = Artifacts::new();
    let resources = template.get_mut("Resources").and_then(Value::as_object_mut);
    for (id, resource) in resources.context("the template has no resources")? {
        let (member, key, bytes) = match resource.get("Type").and_then(Value::as_str) {
            Some("AWS::Serverless::Function") => {
                let name = binary_name(id, resource);
                ("CodeUri", format!("{name}.zip"), bootstrap_zip(&binaries.join(&name))?)
            }
            Some("AWS::Serverless::LayerVersion") => {
                let folder = resource.pointer("/Properties/ContentUri").and_then(Value::as_str);
                let folder = folder.with_context(|| format!("{id} has no local ContentUri"))?;
                ("ContentUri", format!("{id}.zip"), folder_zip(&root.join(folder))?)
            }
            _ => continue,
        };
        let properties = resource.get_mut("Properties").and_then(Value::as_object_mut);
        let properties = properties.with_context(|| format!("{id} has no properties"))?;
        properties.insert(member.to_owned(), Value::from(format!("s3://{bucket}/{key}")));
        if let Some(resource) = resource.as_object_mut() {
            // The build method is for `sam build`, which has no part in this.
            resource.remove("Metadata");
        }
        artifacts.push((key, bytes));
    }
    Ok(artifacts)
}

/// The binary behind a function: the template's build property, or the logical id in lower case with dashes.
pub(crate) fn binary_name(id: &str, resource: &Value) -> String {
    let named = resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str);
    named.map_or_else(|| kebab(id.strip_suffix("Function").unwrap_or(id)), str::to_owned)
}

fn kebab(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn bootstrap_zip(binary: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(binary).with_context(|| {
        format!("no function binary at {}: build them with cargo build --release", binary.display())
    })?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", options().unix_permissions(0o755))?;
    zip.write_all(&bytes)?;
    Ok(zip.finish()?.into_inner())
}

fn folder_zip(folder: &Path) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    add_folder(&mut zip, folder, "")
        .with_context(|| format!("cannot pack the layer in {}", folder.display()))?;
    Ok(zip.finish()?.into_inner())
}

fn add_folder(zip: &mut ZipWriter<Cursor<Vec<u8>>>, folder: &Path, prefix: &str) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add_folder(zip, &entry.path(), &format!("{name}/"))?;
        } else {
            zip.start_file(&name, options().unix_permissions(0o644))?;
            zip.write_all(&fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Stored, not compressed: the emulator is on this machine and unpacks at once.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Read as _;

    #[test]
    fn functions_and_layers_go_to_the_bucket() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("triage-findings"), b"elf").unwrap();
        fs::create_dir_all(root.path().join("layer/examples")).unwrap();
        fs::write(root.path().join("layer/policy.yaml"), b"rules").unwrap();
        fs::write(root.path().join("layer/examples/a.yaml"), b"a").unwrap();
        let mut template = json!({ "Resources": {
            "TriageFindingsFunction": { "Type": "AWS::Serverless::Function", "Metadata": {}, "Properties": { "CodeUri": "." } },
            "PolicyLayer": { "Type": "AWS::Serverless::LayerVersion", "Properties": { "ContentUri": "layer" } },
            "Queue": { "Type": "AWS::SQS::Queue" },
        } });
        let artifacts = package(&mut template, root.path(), root.path(), "b").unwrap();
        assert_eq!(
            template["Resources"]["TriageFindingsFunction"]["Properties"]["CodeUri"],
            "s3://b/triage-findings.zip"
        );
        let (_, layer) = artifacts.iter().find(|(key, _)| key == "PolicyLayer.zip").unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(layer)).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["examples/a.yaml", "policy.yaml"]);
        let mut text = String::new();
        zip.by_name("policy.yaml").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "rules");
    }

    #[test]
    fn a_missing_binary_says_how_to_build_it() {
        let mut template = json!({ "Resources": { "AFunction": { "Type": "AWS::Serverless::Function", "Properties": {} } } });
        let error = package(&mut template, Path::new("/"), Path::new("/nowhere"), "b").unwrap_err();
        assert!(error.to_string().contains("cargo build --release"), "{error}");
    }

    #[test]
    fn a_binary_is_named_by_the_template_or_by_its_function() {
        assert_eq!(binary_name("ExportFindingsFunction", &json!({})), "export-findings");
        let named = json!({ "Metadata": { "BuildProperties": { "Binary": "other" } } });
        assert_eq!(binary_name("ExportFindingsFunction", &named), "other");
    }
}
