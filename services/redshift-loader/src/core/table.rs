//! The warehouse tables that are loaded from the lake.

use lake::{Column, ColumnType, TableSpec};

/// Columns that the loader adds behind the lake's.
pub const LOAD_COLUMNS: [&str; 2] = ["lake_snapshot_id", "loaded_at"];

/// A lake table and the table of schema `raw` that receives its rows: same name, same columns in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTable {
    spec: TableSpec,
}

impl LoadTable {
    /// The tables that can be loaded. `landing` is not among them: raw bytes are the lake's.
    pub fn all() -> [Self; 3] {
        [lake::tables::readings(), lake::tables::rejected(), lake::tables::alerts()].map(|spec| Self { spec })
    }

    /// The table of that name; `None` when it is not one that is loaded.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|table| table.name() == name)
    }

    /// Name without schema: `readings`.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Name in the warehouse: `raw.readings`.
    pub fn target(&self) -> String {
        format!("raw.{}", self.spec.name)
    }

    /// Name of the temporary table that rows pass through.
    pub fn staging(&self) -> String {
        format!("staged_{}", self.spec.name)
    }

    /// The lake table.
    pub fn spec(&self) -> &TableSpec {
        &self.spec
    }

    /// Columns that come from the lake, in order.
    pub fn columns(&self) -> &'static [Column] {
        self.spec.columns
    }

    /// The lake's columns as an SQL list. Quoted: `start` and `source` are words of some dialects.
    pub fn column_list(&self) -> String {
        let quoted: Vec<_> = self.columns().iter().map(|column| format!("\"{}\"", column.name)).collect();
        quoted.join(", ")
    }
}

/// Type of a column in PostgreSQL.
pub const fn postgres_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String => "text",
        ColumnType::Int => "integer",
        ColumnType::Long => "bigint",
        ColumnType::Date => "date",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Decimal => "numeric(18, 6)",
        ColumnType::Binary => "bytea",
    }
}

/// Type of a column in Redshift, whose `text` would be cut at 256 bytes.
pub const fn redshift_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String => "varchar(65535)",
        ColumnType::Binary => "varbyte(1000000)",
        other => postgres_type(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATION: &str = include_str!("../../migrations/V1__raw_tables.sql");
    const LATER: &str = include_str!("../../migrations/V2__readings_revision.sql");

    /// `name type nullability` of each column of a table, as the migration writes them.
    fn columns_of_migration(table: &LoadTable) -> Vec<String> {
        let start =
            MIGRATION.find(&format!("CREATE TABLE {} (", table.target())).expect("the migration makes the table");
        let body = &MIGRATION[start..start + MIGRATION[start..].find("\n);").expect("a statement ends")];
        let simple = |line: &str| {
            let line = line.trim().trim_end_matches(',').replace("COLLATE \"C\"", "");
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let added = format!("ALTER TABLE {} ADD COLUMN ", table.target());
        let later =
            LATER.lines().filter_map(|line| line.strip_prefix(added.as_str())).map(|line| line.trim_end_matches(';'));
        body.lines().skip(1).map(simple).chain(later.map(str::to_owned)).collect()
    }

    #[test]
    fn lake_column_order_is_the_order_of_the_tables() {
        for table in LoadTable::all() {
            let from_lake = table.columns().iter().map(|column| {
                let required = if column.required { " NOT NULL" } else { "" };
                format!("{} {}{required}", column.name, postgres_type(column.column_type))
            });
            // The staging table is the target without the loader's columns: its order must be that of the files.
            let mut found = columns_of_migration(&table);
            found.retain(|column| !LOAD_COLUMNS.iter().any(|added| column.starts_with(added)));
            assert_eq!(found, from_lake.collect::<Vec<_>>(), "{}", table.target());
            assert_eq!(columns_of_migration(&table).len(), found.len() + LOAD_COLUMNS.len());
        }
    }

    #[test]
    fn tables_are_found_by_name_and_the_landing_table_is_not_loaded() {
        assert_eq!(LoadTable::named("alerts").map(|table| table.target()), Some("raw.alerts".to_owned()));
        assert_eq!(LoadTable::named("landing"), None);
    }
}
