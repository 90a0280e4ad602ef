//! A model of both APIs, whose calls are lost, repeated, late and out of order, and of workers whose leases end at any time.

use proptest::prelude::*;

use super::super::{Cancelled, Claim, Decreased, Next, Status};

const ORDERS: usize = 3;
const WORKERS: usize = 3;
/// Wood of each order.
const QUANTITY: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Processing,
    Is(Status),
}

/// An order as both APIs know it.
#[derive(Debug, Clone)]
struct Order {
    status: Stored,
    attempts: u32,
    taken: bool,
    cancelled_by: u32,
}

/// A call to one of the APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Decrease,
    Cancel,
    Change(Status),
}

/// A call that is under way; several may be of one ask.
#[derive(Debug, Clone, Copy)]
struct Message {
    ask: Ask,
    order: usize,
    attempt: u32,
    /// The worker and the number of its call, which it may wait for no more.
    from: (usize, u64),
}

/// A worker with an order.
#[derive(Debug, Clone, Copy)]
struct Working {
    order: usize,
    claim: Claim,
    ask: Ask,
    /// The call that it waits for.
    waits: Option<u64>,
}

#[derive(Debug)]
pub(super) struct World {
    rule: fn(Claim, Decreased) -> Next,
    max_retries: u32,
    orders: Vec<Order>,
    stock: u32,
    delivered: u32,
    workers: Vec<Option<Working>>,
    network: Vec<Message>,
    calls: u64,
}

/// Something happens, to one of those that it can happen to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// A worker that has nothing to do claims an order.
    Claim { worker: usize, order: usize },
    /// A worker's order goes a step: its call is made, so many times.
    Call { worker: usize, copies: usize },
    /// A worker's step fails on purpose, without a call.
    Injected { worker: usize },
    /// A worker waits no longer.
    GiveUp { worker: usize },
    /// A worker dies, and another takes its place.
    Die { worker: usize },
    /// A call arrives; its answer does or does not.
    Arrive { message: usize, answered: bool },
    /// A call is lost.
    Lose { message: usize },
    /// A lease is over.
    EndLease { order: usize },
    /// Somebody asks for a failed order again.
    Reopen { order: usize },
    /// Wood is delivered.
    Deliver,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let (worker, order) = (0..WORKERS, 0..ORDERS);
    let message = any::<usize>;
    prop_oneof![
        4 => (worker.clone(), order.clone()).prop_map(|(worker, order)| Event::Claim { worker, order }),
        6 => (worker.clone(), 1..3_usize).prop_map(|(worker, copies)| Event::Call { worker, copies }),
        2 => worker.clone().prop_map(|worker| Event::Injected { worker }),
        2 => worker.clone().prop_map(|worker| Event::GiveUp { worker }),
        1 => worker.prop_map(|worker| Event::Die { worker }),
        6 => (message(), any::<bool>()).prop_map(|(message, answered)| Event::Arrive { message, answered }),
        1 => message().prop_map(|message| Event::Lose { message }),
        2 => order.clone().prop_map(|order| Event::EndLease { order }),
        1 => order.prop_map(|order| Event::Reopen { order }),
        1 => Just(Event::Deliver),
    ]
}

impl World {
    pub(super) fn new(rule: fn(Claim, Decreased) -> Next, max_retries: u32) -> Self {
        let order = Order {
            status: Stored::Is(Status::Registered),
            attempts: 0,
            taken: false,
            cancelled_by: 0,
        };
        Self {
            rule,
            max_retries,
            orders: vec![order; ORDERS],
            stock: 0,
            delivered: 0,
            workers: vec![None; WORKERS],
            network: Vec::new(),
            calls: 0,
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Claim { worker, order } => self.claim(worker, order),
            Event::Call { worker, copies } => self.call(worker, copies),
            Event::Injected { worker } => self.inject(worker),
            Event::GiveUp { worker } => self.give_up(worker),
            Event::Die { worker } => self.workers[worker] = None,
            Event::Arrive { message, answered } => {
                if let Some(message) = self.take_message(message) {
                    self.arrive(message, answered);
                }
            }
            Event::Lose { message } => _ = self.take_message(message),
            Event::EndLease { order } => {
                self.replace(order, Stored::Processing, Status::Registered);
            }
            Event::Reopen { order } => {
                self.replace(order, Stored::Is(Status::Failed), Status::Registered);
            }
            Event::Deliver => {
                self.stock += 3;
                self.delivered += 3;
            }
        }
    }

    fn replace(&mut self, order: usize, from: Stored, to: Status) {
        if self.orders[order].status == from {
            self.orders[order].status = Stored::Is(to);
        }
    }

    fn take_message(&mut self, index: usize) -> Option<Message> {
        let count = self.network.len();
        (count > 0).then(|| self.network.swap_remove(index % count))
    }

    fn claim(&mut self, worker: usize, order: usize) {
        let registered = Stored::Is(Status::Registered);
        if self.workers[worker].is_some() || self.orders[order].status != registered {
            return;
        }
        let stored = &mut self.orders[order];
        stored.status = Stored::Processing;
        stored.attempts += 1;
        self.workers[worker] = Some(Working {
            order,
            claim: Claim {
                attempt: stored.attempts,
                max_retries: self.max_retries,
            },
            ask: Ask::Decrease,
            waits: None,
        });
    }

    fn call(&mut self, worker: usize, copies: usize) {
        let Some(working) = self.workers[worker]
            .as_mut()
            .filter(|it| it.waits.is_none())
        else {
            return;
        };
        self.calls += 1;
        working.waits = Some(self.calls);
        let message = Message {
            ask: working.ask,
            order: working.order,
            attempt: working.claim.attempt,
            from: (worker, self.calls),
        };
        self.network.extend(std::iter::repeat_n(message, copies));
    }

    fn inject(&mut self, worker: usize) {
        let Some(working) = self.workers[worker].filter(|it| it.waits.is_none()) else {
            return;
        };
        match working.ask {
            Ask::Decrease => self.decreased(worker, Decreased::NotAsked),
            // A fault of the call.
            Ask::Cancel => self.become_next(worker, Cancelled::Unknown.becomes()),
            Ask::Change(_) => self.workers[worker] = None,
        }
    }

    fn give_up(&mut self, worker: usize) {
        let Some(working) = self.workers[worker].filter(|it| it.waits.is_some()) else {
            return;
        };
        match working.ask {
            Ask::Decrease => self.decreased(worker, Decreased::Unknown),
            Ask::Cancel => self.become_next(worker, Cancelled::Unknown.becomes()),
            Ask::Change(_) => self.workers[worker] = None,
        }
    }

    fn decreased(&mut self, worker: usize, decreased: Decreased) {
        let Some(working) = &mut self.workers[worker] else {
            return;
        };
        match (self.rule)(working.claim, decreased) {
            Next::Cancel => (working.ask, working.waits) = (Ask::Cancel, None),
            Next::Become(status) => self.become_next(worker, status),
        }
    }

    fn become_next(&mut self, worker: usize, status: Status) {
        if let Some(working) = &mut self.workers[worker] {
            (working.ask, working.waits) = (Ask::Change(status), None);
        }
    }

    /// What the APIs do, and what the worker learns of it.
    fn arrive(&mut self, message: Message, answered: bool) {
        let (worker, call) = message.from;
        let waits = self.workers[worker].is_some_and(|it| it.waits == Some(call));
        let heard = answered && waits;
        match message.ask {
            Ask::Decrease => {
                let decreased = self.decrease(message.order, message.attempt);
                if heard {
                    self.decreased(worker, decreased);
                }
            }
            Ask::Cancel => {
                let order = &mut self.orders[message.order];
                let cancelled = if order.taken {
                    Cancelled::TooLate
                } else {
                    order.cancelled_by = order.cancelled_by.max(message.attempt);
                    Cancelled::InTime
                };
                if heard {
                    self.become_next(worker, cancelled.becomes());
                }
            }
            Ask::Change(status) => {
                let order = &mut self.orders[message.order];
                if order.attempts == message.attempt && order.status == Stored::Processing {
                    order.status = Stored::Is(status);
                }
                if heard {
                    self.workers[worker] = None;
                }
            }
        }
    }

    fn decrease(&mut self, order: usize, attempt: u32) -> Decreased {
        let order = &mut self.orders[order];
        if order.taken {
            return Decreased::Taken;
        }
        if attempt <= order.cancelled_by || self.stock < QUANTITY {
            return Decreased::Refused;
        }
        self.stock -= QUANTITY;
        order.taken = true;
        Decreased::Taken
    }

    /// What must hold at every moment.
    pub(super) fn law(&self) -> Result<(), TestCaseError> {
        let taken = self.orders.iter().filter(|order| order.taken).count();
        let taken = u32::try_from(taken).unwrap() * QUANTITY;
        prop_assert_eq!(self.stock, self.delivered - taken);
        for order in &self.orders {
            match order.status {
                Stored::Is(Status::Processed) => prop_assert!(order.taken, "{:?}", order),
                Stored::Is(Status::Failed) => prop_assert!(!order.taken, "{:?}", order),
                Stored::Is(Status::Registered) | Stored::Processing => {}
            }
        }
        Ok(())
    }

    /// From now on all goes well: what is under way arrives, leases end, and one worker works on.
    pub(super) fn settle(&mut self) -> Result<(), TestCaseError> {
        while let Some(message) = self.take_message(0) {
            self.arrive(message, true);
            self.law()?;
        }
        self.workers.fill(None);
        for order in 0..ORDERS {
            self.replace(order, Stored::Processing, Status::Registered);
            for _ in 0..=self.max_retries {
                self.claim(0, order);
                while self.workers[0].is_some() {
                    self.call(0, 1);
                    self.happen(Event::Arrive {
                        message: 0,
                        answered: true,
                    });
                    self.law()?;
                }
            }
            let status = self.orders[order].status;
            let settled = [Status::Processed, Status::Failed].map(Stored::Is);
            prop_assert!(settled.contains(&status), "{:?}", status);
        }
        Ok(())
    }
}
