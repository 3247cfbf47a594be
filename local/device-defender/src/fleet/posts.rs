//! What things are for: where they stand and which group they are in, as a table.

/// What a thing is for: the group of the hierarchy below `fleet` that it is in, and two of its attributes.
pub(crate) struct Post {
    /// Hundredths of the things that have this post.
    pub(crate) share: u64,
    pub(crate) group: Option<&'static str>,
    pub(crate) site: Option<&'static str>,
    pub(crate) stage: &'static str,
}

const fn post(
    share: u64,
    group: Option<&'static str>,
    site: Option<&'static str>,
    stage: &'static str,
) -> Post {
    Post { share, group, site, stage }
}

/// What things are for, with the group that each such thing is in.
pub(crate) static POSTS: [Post; 6] = [
    post(40, Some("production-north"), Some("north"), "production"),
    post(30, Some("production-south"), Some("south"), "production"),
    post(12, Some("production"), Some("harbor"), "production"),
    post(10, Some("lab"), Some("campus"), "lab"),
    post(5, Some("fleet"), Some("harbor"), "pilot"),
    post(3, None, None, "new"),
];
