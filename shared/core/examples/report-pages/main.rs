//! Writes the page of each report that tests and people look at: `report-pages FOLDER`.

mod alarms;
mod fixture;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = env::args_os().nth(1).ok_or("name the folder to write the pages to")?.into();
    fs::create_dir_all(&folder)?;
    for (name, report) in fixture::all() {
        fs::write(folder.join(format!("{name}.html")), report.html())?;
        fs::write(folder.join(format!("{name}.md")), report.markdown())?;
        fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(&report)?)?;
    }
    for (name, report) in alarms::all() {
        fs::write(folder.join(format!("{name}.html")), report.html())?;
        fs::write(folder.join(format!("{name}.md")), report.markdown())?;
        fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
