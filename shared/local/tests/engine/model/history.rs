//! Random operations on a small key space, so that they meet: the same seed makes the same history.

use carillon_pipeline::ports::{Check, Index, Item, Key, Query, Write};
use serde_json::{Value, json};

const PARTITIONS: [&str; 2] = ["acme", "globex"];
const SORTS: [&str; 6] = ["1", "10", "2", "a", "é", "~"];
const INDEXES: [Index; 4] = [Index::Table, Index::ByParent, Index::ByDay, Index::Attention];
const NAMES: [&str; 3] = ["state", "owner", "n"];

/// One operation of the port.
#[derive(Debug, Clone)]
pub enum Act {
    Get(Key),
    GetMany(Vec<Key>),
    Write(Write),
    WriteEach(Vec<Write>),
    Transact(Vec<Write>),
    /// And every page after it.
    Query(Query),
}

/// Every place that anything can be found at, in small pages.
pub fn every_partition() -> Vec<Act> {
    let queries = INDEXES.into_iter().flat_map(|index| PARTITIONS.map(|partition| (index, partition)));
    queries.map(|(index, partition)| Act::Query(Query::of(index, partition.to_owned(), 3))).collect()
}

/// Makes operations from a seed (splitmix64).
pub struct History(u64);

impl History {
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    pub fn act(&mut self) -> Act {
        match self.below(20) {
            0 => Act::Get(self.key()),
            1 => {
                let keys = (0..self.below(9)).map(|_| self.key()).collect();
                Act::GetMany(keys)
            }
            2..=11 => {
                let key = self.key();
                Act::Write(self.write(key))
            }
            12 => {
                // Worked side by side by the adapter, so each on an item of its own.
                let keys = self.distinct_keys();
                Act::WriteEach(keys.into_iter().map(|key| self.write(key)).collect())
            }
            13..=15 => {
                let mut keys = self.distinct_keys();
                if self.one_in(10) {
                    keys.push(self.key());
                }
                Act::Transact(keys.into_iter().map(|key| self.write(key)).collect())
            }
            _ => Act::Query(self.query()),
        }
    }

    fn key(&mut self) -> Key {
        Key::read_back(self.of(&PARTITIONS).to_owned(), self.of(&SORTS).to_owned())
    }

    fn distinct_keys(&mut self) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for _ in 0..self.below(5) {
            let key = self.key();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn value(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => json!(2.0),
            2 => json!(-7),
            3 => json!([1, null, "x"]),
            4 => json!({ "a": { "b": null } }),
            5 => json!(""),
            n => json!(n),
        }
    }

    /// A value for this attribute: `n` is mostly a whole number, so that it can be added to, and only `state`, which
    /// is never added to, may be a fraction.
    fn value_of(&mut self, name: &str) -> Value {
        match name {
            "n" if !self.one_in(6) => json!(self.below(3)),
            "state" if self.one_in(6) => json!(0.5),
            "state" if !self.one_in(3) => json!(self.of(&["pending", "sent"])),
            _ => self.value(),
        }
    }

    fn item(&mut self) -> Item {
        let mut item = Item::new();
        for name in NAMES {
            if !self.one_in(3) {
                item.insert(name.to_owned(), self.value_of(name));
            }
        }
        for (name, value) in self.places() {
            item.insert(name, value);
        }
        item
    }

    /// Keys of some indexes; now and then half of one, or one that is not a text.
    fn places(&mut self) -> Vec<(String, Value)> {
        let mut places = Vec::new();
        for index in &INDEXES[1..] {
            let (partition, sort) = index.attributes();
            if self.one_in(2) {
                places.push((partition.to_owned(), json!(self.of(&PARTITIONS))));
            }
            if !self.one_in(3) {
                let odd = self.one_in(40);
                places.push((sort.to_owned(), if odd { json!(3) } else { json!(self.of(&SORTS)) }));
            }
        }
        places
    }

    fn write(&mut self, key: Key) -> Write {
        let only_if = (0..self.below(3)).map(|_| self.check()).collect();
        match self.below(8) {
            0..=2 => Write::Put { key, item: self.item(), only_if },
            3 => Write::Delete { key, only_if },
            _ => self.update(key, only_if),
        }
    }

    /// Mostly each name once; a name in two of the lists is refused.
    fn update(&mut self, key: Key, only_if: Vec<Check>) -> Write {
        let (mut set, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for name in NAMES {
            match self.below(6) {
                0 | 1 => set.push((name.to_owned(), self.value_of(name))),
                2 if name == "n" || (name == "owner" && self.one_in(4)) => {
                    add.push((name.to_owned(), self.of(&[1, -1, 5])));
                }
                3 => remove.push(name.to_owned()),
                _ => {}
            }
        }
        if self.one_in(2) {
            set.extend(self.places());
        } else if self.one_in(3) {
            remove.push(self.of(&INDEXES[1..]).attributes().1.to_owned());
        }
        if self.one_in(25) {
            remove.push(self.of(&NAMES).to_owned());
        }
        Write::Update { key, set, add, remove, only_if }
    }

    fn check(&mut self) -> Check {
        let name = self.of(&NAMES);
        match self.below(7) {
            0 => Check::Absent,
            1 | 2 => Check::Present,
            3 => Check::Missing(name),
            4 => Check::OneOf(name, (0..self.below(4)).map(|_| self.value_of(name)).collect()),
            _ => Check::Equals(name, self.value_of(name)),
        }
    }

    fn query(&mut self) -> Query {
        let index = self.of(&INDEXES);
        let partition = self.of(&PARTITIONS).to_owned();
        let mut query = Query::of(index, partition, 1 + self.below(5));
        query.descending = self.one_in(2);
        if self.one_in(3) {
            query.from = Some(self.of(&SORTS).to_owned());
        }
        if self.one_in(3) {
            query.to = Some(self.of(&SORTS).to_owned());
        }
        query
    }
}
