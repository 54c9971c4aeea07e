//! The tree is what ARCHITECTURE.md says: dependencies point down, one crate owns each heavy library, `core/` is pure.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const SERVICES: &[&str] = &["ingest", "validate", "parquet-sink", "redshift-loader", "alert", "metadata", "dashboard"];

/// Packages that are tests as a whole, and may use everything.
const TESTS: &[&str] = &["integration-tests", "torture", "simulation"];

/// What each kind of package may depend on inside the workspace, tests aside.
fn allowed(package: &str) -> &'static [&'static str] {
    match package {
        "meter-model" | "meterway-proto" | "service-runtime" => &[],
        "meterway-schemas" => &["meter-model"],
        "kafka-pipeline" => &["meterway-schemas", "meter-model", "service-runtime"],
        "lake" => &["meterway-schemas", "meter-model", "service-runtime"],
        "test-support" => &["meterway-schemas", "meter-model", "service-runtime"],
        _ => &["meter-model", "meterway-schemas", "meterway-proto", "kafka-pipeline", "lake", "service-runtime"],
    }
}

/// The only packages that may name a library.
const OWNERS: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka-pipeline"]),
    ("iceberg", &["lake"]),
    ("aws-sdk-s3", &["lake"]),
    ("aws-sdk-dynamodb", &["alert", "ingest", "dashboard", "meterway-cli"]),
    (
        "tokio-postgres",
        &[
            "redshift-loader",
            "metadata",
            "dashboard",
            "meterway-cli",
            "integration-tests",
            "torture",
            "redshift-double",
        ],
    ),
    ("parquet", &["lake", "parquet-sink", "redshift-loader", "meterway-cli", "torture", "redshift-double"]),
    ("object_store", &["meterway-cli", "torture", "redshift-double"]),
    ("pgwire", &["redshift-double"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout exists")
}

/// Name of each workspace package → names of its normal and build dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo describes the workspace");
    let normal = |kind| matches!(kind, DependencyKind::Normal | DependencyKind::Build);
    metadata
        .packages
        .into_iter()
        .map(|package| {
            let names = package.dependencies.iter().filter(|d| normal(d.kind)).map(|d| d.name.clone()).collect();
            (package.name.to_string(), names)
        })
        .collect()
}

#[test]
fn dependencies_point_down() {
    let packages = dependencies();
    let ours: BTreeSet<&String> = packages.keys().collect();
    for (package, names) in &packages {
        if TESTS.contains(&package.as_str()) {
            continue;
        }
        for name in names.iter().filter(|name| ours.contains(name)) {
            assert!(allowed(package).contains(&name.as_str()), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn heavy_libraries_have_one_owner() {
    for (package, names) in dependencies() {
        for (library, owners) in OWNERS {
            let named = names.contains(*library);
            assert!(!named || owners.contains(&package.as_str()), "{package} must not depend on {library}");
        }
    }
}

#[test]
fn core_is_pure() {
    const FORBIDDEN: &[&str] = &[
        "async fn",
        "async move",
        ".await",
        "tokio::",
        "rdkafka",
        "kafka_pipeline::Consumer",
        "kafka_pipeline::Producer",
        "aws_",
        "reqwest",
        "tokio_postgres",
        "std::env",
        "std::fs",
        "SystemTime::now",
        "Instant::now",
        "Utc::now",
    ];
    let mut seen = 0;
    for service in SERVICES {
        for file in rust_files(&root().join("services").join(service).join("src/core")) {
            seen += 1;
            let text = fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (number, line) in code.enumerate() {
                for word in FORBIDDEN {
                    assert!(!line.contains(word), "{}: line {number} of code holds {word}", file.display());
                }
            }
        }
    }
    assert!(seen >= SERVICES.len(), "every service has a core");
}

#[test]
fn services_have_the_same_files() {
    for service in SERVICES {
        let folder = root().join("services").join(service);
        for file in ["README.md", "config.default.toml", "src/main.rs", "src/lib.rs", "src/app.rs", "src/config.rs"] {
            assert!(folder.join(file).exists(), "services/{service}/{file} is missing");
        }
        let lines = fs::read_to_string(folder.join("src/main.rs")).unwrap().lines().count();
        assert!(lines <= 30, "services/{service}/src/main.rs has {lines} lines, wiring belongs into app.rs");
    }
}

#[test]
fn the_tree_in_the_architecture_page_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let tree = page.split("```").find(|block| block.contains("services/")).expect("a code block with the tree");
    let mut seen = 0;
    for word in tree.split_whitespace().filter(|word| word.ends_with('/') && word.is_ascii() && word.len() > 1) {
        seen += 1;
        assert!(root().join(word).is_dir(), "ARCHITECTURE.md names {word}, which does not exist");
    }
    assert!(seen >= 15, "the tree names every folder by its path");
}

/// A fail point that no code passes, or that the README keeps from people, would be a fault that never happens.
#[test]
fn fail_points_are_listed_passed_and_described() {
    let quoted = |text: &str, before: &str| -> BTreeSet<String> {
        let names = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
        names.map(str::to_owned).collect()
    };
    let runtime = root().join("crates/service-runtime");
    let source = fs::read_to_string(runtime.join("src/fail_point.rs")).unwrap();
    let list = source.split("const POINTS").nth(1).and_then(|rest| rest.split("];").next()).expect("the list");
    let listed = quoted(list, "        \"");
    let code = ["services", "crates"].map(|folder| rust_files(&root().join(folder)));
    let passed = code.iter().flatten().flat_map(|file| quoted(&fs::read_to_string(file).unwrap(), "fail_point(\""));
    assert_eq!(listed, passed.collect::<BTreeSet<_>>());
    let readme = fs::read_to_string(runtime.join("README.md")).unwrap();
    let untold: Vec<_> = listed.iter().filter(|point| !readme.contains(&format!("`{point}`"))).collect();
    assert!(listed.len() >= 18 && untold.is_empty(), "the README lacks {untold:?}");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs"))
        .collect()
}
