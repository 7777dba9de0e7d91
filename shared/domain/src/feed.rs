//! The in-app feed: where an item comes from, and which web pages may read feeds from a browser.

use serde::{Deserialize, Serialize};

use crate::route::Category;

/// Where an item of a feed comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The business of the tenant: orders, loans, reminders.
    #[default]
    User,
    /// The system that sends, about itself: its health, its credits. Its routes tell administrators.
    System,
}

impl Origin {
    /// The origin's name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
        }
    }

    /// Where what is told in a category comes from.
    #[must_use]
    pub fn of(category: Category) -> Self {
        if category == Category::System { Self::System } else { Self::User }
    }
}

impl std::str::FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::User, Self::System].into_iter().find(|origin| origin.as_str() == text).ok_or(())
    }
}

/// How many web origins a tenant may name.
pub const WEB_ORIGINS: usize = 20;

/// Whether a text is a web origin as browsers send it: scheme, host in lower case, and a port that is not the scheme's
/// own. Only a developer's own machine may do without TLS.
#[must_use]
pub fn is_web_origin(text: &str) -> bool {
    let (authority, own_port, local_only) = match text.split_once("://") {
        Some(("https", authority)) => (authority, "443", false),
        Some(("http", authority)) => (authority, "80", true),
        _ => return false,
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let in_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let host_fits = (1..=253).contains(&host.len())
        && host.bytes().all(in_host)
        && host.split('.').all(|label| !label.is_empty())
        && (!local_only || host == "localhost" || host == "127.0.0.1");
    let port_fits = port
        .is_none_or(|port| port != own_port && !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok());
    host_fits && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_in_the_category_system_comes_from_the_system() {
        assert_eq!(Origin::of(Category::System), Origin::System);
        for category in [Category::Transactional, Category::Reminder, Category::Marketing, Category::Critical]
        {
            assert_eq!(Origin::of(category), Origin::User);
        }
        assert_eq!("system".parse(), Ok(Origin::System));
        assert_eq!("System".parse::<Origin>(), Err(()));
    }

    #[test]
    fn a_web_origin_is_written_as_browsers_send_it() {
        for good in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:3000",
            "http://127.0.0.1",
        ] {
            assert!(is_web_origin(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "*",
            "app.example.com",
            "https://",
            "https://App.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://app.example.com:0",
            "https://app.example.com:+1",
            "https://app.example.com:99999",
            "https://app..example.com",
            "https://*.example.com",
            "https://ada@app.example.com",
            "https://app.example.com#",
            "http://app.example.com",
            "http://localhost:80",
            "ftp://app.example.com",
        ] {
            assert!(!is_web_origin(bad), "{bad}");
        }
    }
}
