//! What a feed costs: the pipeline itself on the metered model, with DynamoDB's units counted. E24.

use carillon_domain::Channel;
use carillon_local::model::{Operation, Spent};
use carillon_pipeline::inbox::{InboxFilter, Recent};
use carillon_pipeline::store::inbox_marks::Mark;

use crate::write_units::world::{Names, World};

/// A feed with so many items, all unread.
async fn feed_of(items: usize) -> World {
    let world = World::with(&Names::short(), Channel::InApp).await;
    world.accept().await;
    world.fan_out().await;
    world.with_feed_of(items)
}

impl World {
    async fn recent(&self, seen: &[&str]) -> Recent {
        let (tenant, reader) = self.reader();
        self.pipeline().recent_in_inbox(&tenant, &reader, seen).await.unwrap()
    }

    fn cost(&self) -> Spent {
        self.table.take_tally().total()
    }
}

/// E24: what an asking costs that finds nothing new.
#[tokio::test]
async fn an_unchanged_feed_costs_one_read() {
    for items in [1, 1_000] {
        let world = feed_of(items).await;
        let Recent::Changed { tag, view } = world.recent(&[]).await else { panic!("nothing was seen yet") };
        assert_eq!(view["unread_count"], items);
        world.cost();
        assert!(matches!(world.recent(&["another", &tag]).await, Recent::Unchanged { .. }));
        assert_eq!(world.cost(), Spent { calls: 1, write_units: 0, read_units: 1.0 });
        assert!(matches!(world.recent(&["another"]).await, Recent::Changed { .. }));
    }
}

#[tokio::test]
async fn a_feed_of_a_hundred_thousand_items_costs_what_ten_cost() {
    let mut costs = Vec::new();
    for items in [11, 100_000] {
        let world = feed_of(items).await;
        let (tenant, reader) = world.reader();
        let mut cost = Vec::new();
        world.recent(&[]).await;
        cost.push(("recent", world.cost()));
        let (views, next) =
            world.pipeline().inbox_view(&tenant, &reader, &InboxFilter::default(), 10, None).await.unwrap();
        assert_eq!((views.len(), next.is_some()), (10, true));
        cost.push(("a page", world.cost()));
        world.pipeline().inbox_view(&tenant, &reader, &InboxFilter::default(), 10, next).await.unwrap();
        // The last page of the small one has fewer items.
        world.cost();
        assert_eq!(
            world.pipeline().inbox_head(&tenant, &reader).await.unwrap().unread,
            i64::try_from(items).unwrap()
        );
        cost.push(("the count", world.cost()));
        world.pipeline().mark_in_inbox(&tenant, &reader, &world.delivery().1.id, Mark::Read).await.unwrap();
        cost.push(("a mark", world.cost()));
        costs.push(cost);
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn a_mark_costs_four_or_six_units_and_reading_all_one_for_the_whole_feed() {
    let world = feed_of(1).await;
    let (tenant, reader) = world.reader();
    let id = world.delivery().1.id;
    // Transactions pay twice: the item, the head, and the delivery where it moves; archiving takes the item out and in.
    for (mark, units) in
        [(Mark::Read, 6), (Mark::Read, 0), (Mark::Unread, 4), (Mark::Read, 4), (Mark::Archived, 6)]
    {
        world.cost();
        world.pipeline().mark_in_inbox(&tenant, &reader, &id, mark).await.unwrap().unwrap();
        assert_eq!(world.cost().write_units, units, "{mark:?}");
    }
    let world = feed_of(100_000).await;
    world.cost();
    let (tenant, reader) = world.reader();
    assert_eq!(world.pipeline().read_all(&tenant, &reader).await.unwrap().unread, 0);
    let tally = world.table.take_tally();
    // The head; and the one delivery that there is here. The newest hundred items are looked at for theirs.
    assert_eq!(tally.of(Operation::UpdateItem).write_units, 2);
    assert!(tally.total().read_units < 60.0, "{tally:?}");
}

#[tokio::test]
async fn a_filter_that_nothing_fits_looks_at_a_bounded_part() {
    let world = feed_of(100_000).await;
    let (tenant, reader) = world.reader();
    let filter = InboxFilter { unread: Some(false), ..InboxFilter::default() };
    world.cost();
    let (views, next) = world.pipeline().inbox_view(&tenant, &reader, &filter, 50, None).await.unwrap();
    assert_eq!((views.len(), next.is_some()), (0, true));
    assert!(world.cost().read_units < 200.0);
}
