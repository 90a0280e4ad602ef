//! The sales that a refund may name.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A refund names one of this many last sales.
const CAPACITY: usize = 100;

/// The last 100 sent sales, oldest first, and which of them are refunded.
///
/// Its text form is base64 of: per sale the distance of its tick from the one before (the first from 0), as LEB128 with
/// the refunded flag in the lowest bit. 100 distances sum to less than 2⁶⁴, so none of it exceeds 1,240 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RecentSales {
    sales: VecDeque<RecentSale>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecentSale {
    tick: u64,
    refunded: bool,
}

/// A text that is not the text form of recent sales.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecentSalesError {
    /// The text is not base64.
    #[error("recent sales are unpadded URL-safe base64")]
    Base64(#[source] base64::DecodeError),
    /// A number ends nowhere or is too large.
    #[error("recent sales hold a number that is cut off or too large")]
    Number,
    /// Ticks do not ascend.
    #[error("recent sales hold a tick twice")]
    Order,
    /// More sales than are kept.
    #[error("recent sales are {0}, more than {CAPACITY}")]
    Length(usize),
}

impl RecentSales {
    pub(crate) fn len(&self) -> usize {
        self.sales.len()
    }

    /// Enters a sent sale, unless it is there, and forgets the oldest above the capacity.
    pub(crate) fn enter(&mut self, tick: u64) {
        let Err(position) = self.sales.binary_search_by_key(&tick, |sale| sale.tick) else {
            return;
        };
        let refunded = false;
        self.sales.insert(position, RecentSale { tick, refunded });
        if self.sales.len() > CAPACITY {
            self.sales.pop_front();
        }
    }

    /// Marks the first unrefunded sale at or after position `start`, going round, as refunded; its tick, if there is one.
    pub(crate) fn refund_from(&mut self, start: usize) -> Option<u64> {
        let count = self.sales.len();
        let position = (start..start + count)
            .map(|position| position % count)
            .find(|position| !self.sales[*position].refunded)?;
        let sale = &mut self.sales[position];
        sale.refunded = true;
        Some(sale.tick)
    }

    /// Takes back the mark of a sale whose refund was suppressed, if the sale is still among the recent ones.
    pub(crate) fn give_back(&mut self, tick: u64) {
        if let Ok(position) = self.sales.binary_search_by_key(&tick, |sale| sale.tick) {
            self.sales[position].refunded = false;
        }
    }
}

impl From<RecentSales> for String {
    fn from(recent: RecentSales) -> Self {
        let mut bytes = Vec::new();
        let mut before = 0;
        for sale in recent.sales {
            // 65 bits: a distance may need all 64.
            let mut rest = u128::from(sale.tick - before) << 1 | u128::from(sale.refunded);
            before = sale.tick;
            loop {
                let [low, ..] = rest.to_le_bytes();
                rest >>= 7;
                if rest == 0 {
                    bytes.push(low & 0x7F);
                    break;
                }
                bytes.push(low | 0x80);
            }
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl TryFrom<String> for RecentSales {
    type Error = RecentSalesError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(RecentSalesError::Base64)?;
        let mut sales: VecDeque<RecentSale> = VecDeque::new();
        let mut bytes = bytes.into_iter().peekable();
        while bytes.peek().is_some() {
            let number = leb128(&mut bytes).ok_or(RecentSalesError::Number)?;
            let distance = u64::try_from(number >> 1).map_err(|_| RecentSalesError::Number)?;
            let before = sales.back().map(|sale| sale.tick);
            if distance == 0 && before.is_some() {
                return Err(RecentSalesError::Order);
            }
            let tick = before
                .unwrap_or(0)
                .checked_add(distance)
                .ok_or(RecentSalesError::Number)?;
            sales.push_back(RecentSale {
                tick,
                refunded: number & 1 == 1,
            });
        }
        if sales.len() > CAPACITY {
            return Err(RecentSalesError::Length(sales.len()));
        }
        Ok(Self { sales })
    }
}

/// Reads a number of at most ten bytes, which hold 70 bits.
fn leb128(bytes: &mut impl Iterator<Item = u8>) -> Option<u128> {
    let mut number = 0;
    for position in 0..10 {
        let byte = bytes.next()?;
        number |= u128::from(byte & 0x7F) << (7 * position);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_form_comes_back_and_is_short(
            ticks in proptest::collection::btree_map(any::<u64>(), any::<bool>(), 0..=CAPACITY)
        ) {
            let sales = ticks.into_iter().map(|(tick, refunded)| RecentSale { tick, refunded });
            let recent = RecentSales { sales: sales.collect() };
            let text = String::from(recent.clone());
            prop_assert!(text.len() <= 1_240, "{} characters", text.len());
            prop_assert_eq!(RecentSales::try_from(text).unwrap(), recent);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,200}") {
            if let Ok(recent) = RecentSales::try_from(text) {
                prop_assert!(recent.len() <= CAPACITY);
                let ticks: Vec<u64> = recent.sales.iter().map(|sale| sale.tick).collect();
                prop_assert!(ticks.is_sorted_by(|one, next| one < next));
            }
        }
    }

    #[test]
    fn the_largest_distances_stay_short() {
        // 100 equal distances over all of u64: the longest text there is, up to rounding.
        let distance = u64::MAX / 100;
        let sales = (1..=100).map(|factor| RecentSale {
            tick: distance * factor,
            refunded: true,
        });
        let recent = RecentSales {
            sales: sales.collect(),
        };
        assert!(String::from(recent).len() <= 1_240);
    }

    #[test]
    fn broken_texts_are_refused() {
        let refused = |text: &str| RecentSales::try_from(text.to_owned()).unwrap_err();
        assert!(matches!(refused("*"), RecentSalesError::Base64(_)));
        assert!(matches!(refused("gA"), RecentSalesError::Number));
        assert!(matches!(refused("AgA"), RecentSalesError::Order));
        let many = URL_SAFE_NO_PAD.encode([2; 101]);
        assert!(matches!(refused(&many), RecentSalesError::Length(101)));
    }

    #[test]
    fn a_refund_goes_on_past_refunded_sales_and_round() {
        let mut recent = RecentSales::default();
        for tick in [3, 5, 9] {
            recent.enter(tick);
        }
        assert_eq!(recent.refund_from(1), Some(5));
        assert_eq!(recent.refund_from(1), Some(9));
        assert_eq!(recent.refund_from(1), Some(3));
        assert_eq!(recent.refund_from(1), None);
        recent.give_back(9);
        assert_eq!(recent.refund_from(0), Some(9));
    }

    #[test]
    fn the_oldest_sale_is_forgotten() {
        let mut recent = RecentSales::default();
        for tick in 0..101 {
            recent.enter(tick);
        }
        assert_eq!(recent.len(), CAPACITY);
        assert_eq!(recent.refund_from(0), Some(1));
    }
}
