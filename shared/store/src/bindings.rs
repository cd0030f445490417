//! Bindings as readers see them: by the outside address, by our address, or by both.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures_util::future::try_join_all;
use routing::{Address, Binding, Key, Pair, Tail};

use crate::Store;
use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item;
use crate::key::{self, SHARDS};
use crate::page::{ListKind, Page, PageRequest};
use crate::table::{GSI2, PARTITION_KEY, SORT_KEY};

/// The bindings that a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingFilter {
    Pair(Pair),
    /// Every pair of an outside address.
    Address(Address),
    /// Every pair with one of our addresses.
    Proxy(Address),
}

/// A pair, and the conversation that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingView {
    pub pair: Pair,
    pub binding: Binding,
    /// The newest entry of the conversation; `None`: a transaction becomes visible right now.
    pub tail: Option<Tail>,
}

impl Store {
    /// Sorted by the address that the filter leaves open.
    pub async fn binding_list(
        &self,
        filter: &BindingFilter,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<BindingView>, StoreError> {
        let after = page.position(ListKind::Bindings)?;
        let (mut rows, more) = match filter {
            BindingFilter::Pair(pair) => {
                let binding = self.binding_get(&Key::Pair(pair.clone()), deadline).await?;
                let row = binding.map(|binding| (pair.clone(), binding));
                (row.into_iter().collect(), false)
            }
            BindingFilter::Address(address) => {
                self.bindings_of_address(address, after.as_deref(), page.size, deadline)
                    .await?
            }
            BindingFilter::Proxy(proxy) => {
                self.bindings_of_proxy(proxy, after.as_deref(), page.size, deadline)
                    .await?
            }
        };
        rows.truncate(page.size);
        let position = |pair: &Pair| match filter {
            BindingFilter::Proxy(_) => pair.address().to_string(),
            BindingFilter::Pair(_) | BindingFilter::Address(_) => pair.proxy().to_string(),
        };
        let next = rows.last().filter(|_| more).map(|(pair, _)| position(pair));
        let views = rows.into_iter().map(|(pair, binding)| async move {
            let tail = self.tail_get(binding.conversation, deadline).await?;
            Ok::<_, StoreError>(BindingView {
                pair,
                binding,
                tail,
            })
        });
        let views = try_join_all(views).await?;
        let rows = views.into_iter().map(|view| {
            let position = position(&view.pair);
            (view, position)
        });
        Ok(Page::new(ListKind::Bindings, rows, next))
    }

    /// Up to `limit` bindings in the partition of an outside address, and whether there are more.
    async fn bindings_of_address(
        &self,
        address: &Address,
        after: Option<&str>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<(Vec<(Pair, Binding)>, bool), StoreError> {
        // An address that begins a pair has at least one character, so every sort key is greater than a space.
        let after = after.unwrap_or(" ");
        let names = HashMap::from([
            ("#pk".to_owned(), PARTITION_KEY.to_owned()),
            ("#sk".to_owned(), SORT_KEY.to_owned()),
        ]);
        let partition = key::bindings_of_address(address);
        let values = HashMap::from([
            (":pk".to_owned(), AttributeValue::S(partition)),
            (":after".to_owned(), AttributeValue::S(after.to_owned())),
        ]);
        let send = || {
            self.client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk AND #sk > :after")
                .set_expression_attribute_names(Some(names.clone()))
                .set_expression_attribute_values(Some(values.clone()))
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let found = attempt::read("read the bindings of an address", deadline, send).await?;
        let more = found.last_evaluated_key.is_some();
        let rows = found
            .items
            .unwrap_or_default()
            .into_iter()
            .map(item::binding::of_pair);
        Ok((rows.collect::<Result<_, _>>()?, more))
    }

    /// Up to `limit` bindings of one of our addresses, and whether there are more.
    async fn bindings_of_proxy(
        &self,
        proxy: &Address,
        after: Option<&str>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<(Vec<(Pair, Binding)>, bool), StoreError> {
        let queries = (0..SHARDS).map(|shard| {
            let partition = key::bindings_of_proxy(proxy, shard);
            self.index_query(GSI2, partition, (after, None), false, limit + 1, deadline)
        });
        let mut found: Vec<_> = try_join_all(queries).await?.into_iter().flatten().collect();
        found.sort_by(|a, b| a.position.cmp(&b.position));
        let more = found.len() > limit;
        found.truncate(limit);
        let keys = found.into_iter().map(|row| row.item).collect();
        let items = self.batch_get(keys, deadline).await?;
        let rows = items.into_iter().map(item::binding::of_pair);
        Ok((rows.collect::<Result<_, _>>()?, more))
    }
}
