//! What a layer has cooked, most expensive first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::progress::shown;
use super::{count, duration, table};
use crate::cooked::Found;
use crate::model::CookProfile;
use crate::unit::{Cook, Manifest, Package, Profile, Unit};

/// The units of a layer.
#[derive(Clone, Debug)]
pub struct Units<'a> {
    /// The image.
    pub found: &'a Found,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// Its units, most expensive first; one that several calls of cargo share is there once.
    pub rows: Vec<Row<'a>>,
    /// All of them together.
    pub totals: Totals,
}

/// A unit.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The call of cargo that it came with first.
    pub cook: usize,
    /// The unit.
    pub unit: &'a Unit,
    /// Its package.
    pub package: &'a Package,
    /// Its profile.
    pub profile: &'a Profile,
}

/// All units together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Units.
    pub units: usize,
    /// Packages that units are of.
    pub packages: usize,
    /// Processor time that was measured, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes.
    pub bytes: u64,
}

impl<'a> Units<'a> {
    /// The units of an image's manifest.
    pub fn new(found: &'a Found, manifest: &'a Manifest) -> Self {
        let mut rows: Vec<Row<'a>> = Vec::new();
        let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (cook, Cook { graph, .. }) in manifest.cooks.iter().enumerate() {
            for unit in &graph.units {
                let row = Row { cook, unit, package: graph.package(unit), profile: graph.profile(unit) };
                // The same folder of the same profile is the same unit.
                let place = unit.output.as_ref().map(|output| (&*row.profile.folder, &*output.folder));
                match place.and_then(|place| places.get(&place)) {
                    // Who found it compiled has measured nothing.
                    Some(&known) if rows[known].cpu_ms().is_none() => {
                        rows[known] = Row { cook: rows[known].cook, ..row }
                    }
                    Some(_) => {}
                    None => {
                        places.extend(place.map(|place| (place, rows.len())));
                        rows.push(row);
                    }
                }
            }
        }
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut totals = Totals { units: rows.len(), ..Totals::default() };
        let mut packages: Vec<&Package> = rows.iter().map(|row| row.package).collect();
        packages.sort_unstable();
        packages.dedup();
        totals.packages = packages.len();
        for row in &rows {
            totals.cpu_ms = totals.cpu_ms.saturating_add(row.cpu_ms().unwrap_or_default());
            totals.bytes = totals.bytes.saturating_add(row.bytes());
        }
        Self { found, manifest, rows, totals }
    }

    /// A unit's part of all processor time, from 0 to 1; `None` where it was not measured.
    pub fn share(&self, row: &Row<'_>) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a share for people; 2^53 ms are a long time")]
        let share = |part: u64| part as f64 / self.totals.cpu_ms as f64;
        row.cpu_ms().filter(|_| self.totals.cpu_ms > 0).map(share)
    }
}

impl<'a> Row<'a> {
    /// Processor time of its compilation or run, in milliseconds, where it was measured.
    pub fn cpu_ms(&self) -> Option<u64> {
        self.unit.output.as_ref()?.cpu_ms
    }

    /// The bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.unit.output.as_ref().map_or(0, |output| output.bytes)
    }

    /// What it is, as JSON has it.
    pub fn kind(&self) -> &'static str {
        self.unit.kind.word()
    }

    fn order(&self) -> impl Ord + use<'a> {
        let Unit { kind, ref target, ref platform, ref features, .. } = *self.unit;
        let cost = Reverse((self.cpu_ms().unwrap_or_default(), self.bytes()));
        (cost, self.package, kind, target, platform, features, self.profile, self.cook)
    }
}

/// The profile of a call of cargo, as a workflow names it.
pub fn profile(cook: &Cook) -> String {
    CookProfile { name: cook.profile.clone(), settings: cook.settings.clone() }.to_string()
}

/// The units, for people.
pub fn text(units: &Units<'_>) -> String {
    let Units { found, manifest, rows, totals } = units;
    let line = |text: &str| shown(text.lines().next().unwrap_or_default());
    let profiles: Vec<String> = manifest.cooks.iter().map(|cook| shown(&profile(cook))).collect();
    let head = [
        ["image".to_owned(), format!("{}@{}", found.image, found.digest)],
        ["rustc".to_owned(), line(&manifest.environment.rustc)],
        ["cargo".to_owned(), line(&manifest.environment.cargo)],
        ["profiles".to_owned(), profiles.join(", ")],
        ["CARGO_HOME".to_owned(), shown(&manifest.environment.cargo_home)],
        ["RUSTFLAGS".to_owned(), shown(&manifest.environment.rustflags.join(" "))],
    ];
    let head: Vec<_> = head.into_iter().filter(|[_, value]| !value.is_empty()).collect();
    let platform = if rows.iter().any(|row| row.unit.platform.is_some()) { "platform" } else { "" };
    let titles = ["CPU", "share", "size", "crate", "version", "kind", "profile", platform, "features"];
    let row = |row: &Row<'_>| {
        [
            row.cpu_ms().map_or_else(|| "-".to_owned(), cpu),
            units.share(row).map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            size(row.bytes()),
            shown(&row.package.name),
            shown(&row.package.version),
            row.kind().to_owned(),
            shown(&profile(&manifest.cooks[row.cook])),
            row.unit.platform.as_deref().map(shown).unwrap_or_default(),
            shown(&row.unit.features.join(",")),
        ]
    };
    let rows: Vec<_> = std::iter::once(titles.map(str::to_owned)).chain(rows.iter().map(row)).collect();
    let Totals { units, packages, cpu_ms, bytes } = *totals;
    format!(
        "{}\n{}\n{} of {}: {} of CPU, {}\n",
        table(&head),
        table(&rows),
        count(units, "unit"),
        count(packages, "package"),
        cpu(cpu_ms),
        size(bytes)
    )
}

fn cpu(ms: u64) -> String {
    duration(Duration::from_millis(ms))
}

/// Bytes, for people: `512 B`, `3.2 kB`, `12.0 MB`.
pub fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1000 => return format!("{bytes} B"),
        1000..1_000_000 => (1000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}
