//! The one table as the embedded cloud makes it. On AWS template.yaml makes it, with the same keys and indexes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use carillon_pipeline::ports::{Index, StoreError};

use crate::failure::store_error;

const INDEXES: [Index; 4] = [Index::Table, Index::ByParent, Index::ByDay, Index::Attention];

/// Makes the table if it is not there. For a stand-in, where a table can be used at once; AWS takes a while.
///
/// # Errors
/// As for a write.
pub async fn ensure_table(client: &Client, name: &str) -> Result<(), StoreError> {
    let mut request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for index in INDEXES {
        request = with_index(request, index)
            .map_err(|error| StoreError::Refused(format!("CreateTable could not be written: {error}")))?;
    }
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(error.as_service_error(), Some(CreateTableError::ResourceInUseException(_))) =>
        {
            Ok(())
        }
        Err(error) => Err(store_error("CreateTable", &error)),
    }
}

fn with_index(
    request: CreateTableFluentBuilder,
    index: Index,
) -> Result<CreateTableFluentBuilder, BuildError> {
    let (partition, sort) = index.attributes();
    let request = request
        .attribute_definitions(string_attribute(partition)?)
        .attribute_definitions(string_attribute(sort)?);
    Ok(match index.name() {
        None => request.set_key_schema(Some(key_schema(index)?)),
        Some(name) => request.global_secondary_indexes(keys_only(index, name)?),
    })
}

fn string_attribute(name: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
}

fn key_schema(index: Index) -> Result<Vec<KeySchemaElement>, BuildError> {
    let (partition, sort) = index.attributes();
    let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(partition, KeyType::Hash)?, element(sort, KeyType::Range)?])
}

fn keys_only(index: Index, name: &str) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(key_schema(index)?))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
}
