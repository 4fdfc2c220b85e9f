//! Several pieces of work at once in one task, so that their commits share one sync of the disk.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// Waits for all of them, and gives what they gave in their order.
pub(super) async fn together<F: Future>(pieces: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut pieces: Vec<_> = pieces.into_iter().map(|piece| (Box::pin(piece), None)).collect();
    poll_fn(|context| {
        let mut waits = false;
        for (piece, output) in pieces.iter_mut().filter(|(_, output)| output.is_none()) {
            match piece.as_mut().poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => waits = true,
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    pieces.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use super::together;

    #[tokio::test]
    async fn pieces_that_end_in_any_order_give_their_outputs_in_the_order_of_the_pieces() {
        let piece = |number: u64| async move {
            for _ in 0..(10 - number) {
                tokio::task::yield_now().await;
            }
            number
        };
        let numbers: Vec<u64> = (0..10).collect();
        assert_eq!(together(numbers.iter().copied().map(piece)).await, numbers);
        assert!(together(Vec::<std::future::Ready<()>>::new()).await.is_empty());
    }
}
