//! What happens to a cluster: a master dies, a slot moves.
