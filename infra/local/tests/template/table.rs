//! The table of the template is the table of `store`.

use super::*;

/// The names and kinds of keys, of a table or an index.
fn keys<'a>(node: &'a Yaml<'static>) -> Vec<(&'a str, &'a str)> {
    let key = |key| (text(key, "AttributeName"), text(key, "KeyType"));
    list(node, "KeySchema").iter().map(key).collect()
}

#[test]
fn the_deployed_table_has_the_shape_of_the_local_one() {
    let template = template();
    let table = at(&template, "Resources.Table.Properties");

    assert_eq!(keys(table), [(PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE")]);
    let indexes = list(table, "GlobalSecondaryIndexes");
    assert_eq!(indexes.len(), 2);
    for (deployed, index) in indexes.iter().zip([GSI1, GSI2]) {
        assert_eq!(text(deployed, "IndexName"), index.name);
        let expected = [(index.partition_key, "HASH"), (index.sort_key, "RANGE")];
        assert_eq!(keys(deployed), expected, "{}", index.name);
        let projection = text(deployed, "Projection.ProjectionType");
        assert_eq!(projection, INDEX_PROJECTION.as_str(), "{}", index.name);
    }
    let attributes = list(table, "AttributeDefinitions").iter();
    let attributes: Vec<_> = attributes
        .map(|each| (text(each, "AttributeName"), text(each, "AttributeType")))
        .collect();
    let expected = [
        PARTITION_KEY,
        SORT_KEY,
        GSI1.partition_key,
        GSI1.sort_key,
        GSI2.partition_key,
        GSI2.sort_key,
    ];
    assert_eq!(attributes, expected.map(|name| (name, "S")));
    assert_eq!(text(table, "BillingMode"), "PAY_PER_REQUEST");
    let stream_view = text(table, "StreamSpecification.StreamViewType");
    assert_eq!(stream_view, STREAM_VIEW.as_str());
    let ttl = at(table, "TimeToLiveSpecification");
    assert_eq!(text(ttl, "AttributeName"), TTL_ATTRIBUTE);
    assert_eq!(at(ttl, "Enabled").as_bool(), Some(true));
}

/// The nodes that name the table of the stack, without the first branch of an `!If [MakesTable, …]`.
fn unconditional_names_of_the_table(node: &Yaml<'static>, path: &str, found: &mut Vec<String>) {
    let name = |text: &Yaml<'static>| text.as_str().map(first_name);
    match node {
        Yaml::Tagged(tag, inner) => match (tag.suffix.as_str(), &**inner) {
            ("If", choice) => {
                let branches = choice.as_sequence().unwrap();
                let made = branches[0].as_str() == Some("MakesTable");
                if made {
                    let mut other = BTreeSet::new();
                    references(&branches[2], &mut other);
                    let expected = ["ExistingTableStream".to_owned()];
                    assert_eq!(other, expected.into(), "{path}");
                }
                for branch in &branches[if made { 2 } else { 1 }..] {
                    unconditional_names_of_the_table(branch, path, found);
                }
            }
            ("Ref" | "GetAtt", text) if name(text).as_deref() == Some("Table") => {
                found.push(path.to_owned());
            }
            ("Sub", text) => {
                let text = text.as_sequence_get(0).unwrap_or(text).as_str().unwrap();
                if text.contains("${Table}") || text.contains("${Table.") {
                    found.push(path.to_owned());
                }
                unconditional_names_of_the_table(inner, path, found);
            }
            _ => unconditional_names_of_the_table(inner, path, found),
        },
        Yaml::Sequence(parts) => {
            for part in parts {
                unconditional_names_of_the_table(part, path, found);
            }
        }
        Yaml::Mapping(parts) => {
            for (key, part) in parts {
                let key = key.as_str().unwrap_or_default();
                unconditional_names_of_the_table(part, &format!("{path}.{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_stack_with_an_existing_table_makes_none_and_names_the_existing_one_everywhere() {
    let template = template();
    assert_eq!(text(&template, "Resources.Table.Condition"), "MakesTable");
    let mut found = Vec::new();
    unconditional_names_of_the_table(&template, "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}
