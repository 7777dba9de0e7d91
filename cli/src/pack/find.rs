//! Where packs are: the folder that `CARILLON_PACKS` names, else `templates` here, else the one of the source tree that
//! this command was built from.

use std::path::{Path, PathBuf};

use super::load::load;
use super::{Pack, PackFault};
use crate::outcome::Failure;

/// What makes a folder a pack.
pub(super) const MANIFEST: &str = "pack.toml";

/// The folder of a pack, given by its name or as a path.
///
/// # Errors
/// When there is none; names those that there are.
pub fn folder(name: &str) -> Result<PathBuf, Failure> {
    found(name, packs_folder().as_deref())
}

/// The folders of all packs, by name.
///
/// # Errors
/// When there are none.
fn all() -> Result<Vec<PathBuf>, Failure> {
    let Some(folder) = packs_folder() else {
        return Err(Failure::Fault(format!("there is no folder of packs: {}", looked_in())));
    };
    let found = listed(&folder)?;
    if found.is_empty() {
        return Err(Failure::Fault(format!(
            "{} holds no pack: no folder in it has a {MANIFEST}",
            folder.display()
        )));
    }
    Ok(found)
}

/// The packs that are named, or all of them.
///
/// # Errors
/// When one is not there or faulty.
pub fn chosen(names: &[String]) -> Result<Vec<Pack>, Failure> {
    let folders = match names {
        [] => all()?,
        some => some.iter().map(|name| folder(name)).collect::<Result<Vec<_>, _>>()?,
    };
    Ok(folders.iter().map(|folder| load(folder)).collect::<Result<Vec<_>, _>>()?)
}

/// The packs that can be found and read without anybody asking for one of them; none is no fault.
pub fn known() -> Vec<Pack> {
    let folders = packs_folder().and_then(|folder| listed(&folder).ok()).unwrap_or_default();
    folders.iter().filter_map(|folder| load(folder).ok()).collect()
}

fn found(name: &str, packs: Option<&Path>) -> Result<PathBuf, Failure> {
    let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    if let Some(packs) = packs.filter(|packs| is_name && packs.join(name).join(MANIFEST).is_file()) {
        return Ok(packs.join(name));
    }
    let path = PathBuf::from(name);
    if path.is_dir() {
        return Ok(path);
    }
    if !is_name {
        return Err(Failure::Fault(format!("there is no folder {name:?}")));
    }
    let known = match packs {
        Some(packs) => {
            let names: Vec<String> = listed(packs)?
                .iter()
                .filter_map(|p| p.file_name())
                .map(|n| n.to_string_lossy().into_owned())
                .collect();
            format!(
                "{} has: {}",
                packs.display(),
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )
        }
        None => looked_in(),
    };
    Err(Failure::Fault(format!("there is no pack {name:?}; {known}")))
}

fn packs_folder() -> Option<PathBuf> {
    if let Some(named) = carillon_runtime::environment::optional("CARILLON_PACKS") {
        return Some(PathBuf::from(named));
    }
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|root| root.join("templates"));
    [Some(PathBuf::from("templates")), built_from].into_iter().flatten().find(|folder| folder.is_dir())
}

fn looked_in() -> String {
    "./templates is not here; name a folder of packs in CARILLON_PACKS".to_owned()
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = super::read::entries(folder)
        .map_err(|PackFault { file, detail, .. }| Failure::Fault(format!("{}: {detail}", file.display())))?;
    Ok(entries.into_iter().filter(|path| path.join(MANIFEST).is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_found_by_name_and_by_path_and_a_wrong_name_lists_the_right_ones() {
        let packs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("templates");
        let first = listed(&packs).unwrap().remove(0);
        let name = first.file_name().unwrap().to_str().unwrap();
        assert_eq!(found(name, Some(&packs)).unwrap(), first);
        assert_eq!(found(first.to_str().unwrap(), None).unwrap(), first);
        let error = found("no-such-pack", Some(&packs)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        for path in ["./no-such-folder", "../no-such-folder/x", ""] {
            assert!(found(path, Some(&packs)).is_err(), "{path:?}");
        }
    }
}
