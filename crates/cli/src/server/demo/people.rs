//! The people of the demonstration. None of them exists: names are put together, addresses are at
//! `example.org`, and telephone numbers are from ranges that regulators keep free for fiction.

use serde_json::{Map, Value, json};

/// A tenant of the demonstration.
pub(super) struct Company {
    /// Its name.
    pub(super) name: &'static str,
    /// What its files begin with.
    pub(super) short: &'static str,
    /// Where its customers live.
    country: &'static str,
    cities: [(&'static str, &'static str); 4],
    streets: [&'static str; 5],
    /// What its customers' numbers begin with.
    phone: &'static str,
    people: [&'static str; 20],
    /// What they order, with prices.
    orders: [(&'static str, &'static str); 4],
}

pub(super) const COMPANIES: [Company; 2] = [
    Company {
        name: "Lindenhof Physiotherapy",
        short: "lindenhof",
        country: "DE",
        cities: [
            ("Berlin", "10115"),
            ("Potsdam", "14467"),
            ("Bernau", "16321"),
            ("Teltow", "14513"),
        ],
        streets: ["Ahornweg", "Birkenallee", "Mühlgasse", "Am Anger", "Kastanienstraße"],
        phone: "+49 30 23125",
        people: [
            "Jördis Amsel",
            "Tilo Brandner",
            "Mirja Castorp",
            "Ruben Dahlke",
            "Enna Ebersberg",
            "Falk Feddersen",
            "Greta Grünspan",
            "Hanno Holtz",
            "Ida Immergrün",
            "Jasper Junkers",
            "Käthe Kolk",
            "Levin Lerche",
            "Marit Moosbach",
            "Nils Nachtigall",
            "Ottilie Olm",
            "Piet Pappel",
            "Romy Rauch",
            "Sönke Silbermann",
            "Thea Tannert",
            "Urs Ulmen",
        ],
        orders: [
            ("First consultation", "85.00"),
            ("Six massages", "312.00"),
            ("Back course", "129.50"),
            ("Exercise bands", "18.90"),
        ],
    },
    Company {
        name: "Harbour Language School",
        short: "harbour",
        country: "GB",
        cities: [
            ("London", "E1W 0AA"),
            ("Greenwich", "SE10 0AA"),
            ("Barking", "IG11 0AA"),
            ("Deptford", "SE8 0AA"),
        ],
        streets: [
            "Ropewalk Lane",
            "Lantern Street",
            "Pilot's Row",
            "Tidewater Close",
            "Chandler Road",
        ],
        phone: "+44 20 7946 0",
        people: [
            "Abel Ashdown",
            "Bryony Bellweather",
            "Caspar Cloudesley",
            "Delphine Dory",
            "Edmund Eastlake",
            "Flora Fenwright",
            "Gideon Gullane",
            "Hester Hallowell",
            "Ivo Ingleby",
            "Juno Jessamy",
            "Kit Kestrel",
            "Lavinia Larkmoor",
            "Miles Merriweather",
            "Nell Northcote",
            "Osric Oakapple",
            "Perdita Penhallow",
            "Quentin Quayle",
            "Rosalind Ravenscar",
            "Silas Saltmarsh",
            "Tamsin Thornbury",
        ],
        orders: [
            ("Spanish for beginners", "240.00"),
            ("Conversation evening", "15.00"),
            ("Dutch, second year", "265.00"),
            ("Workbook", "22.75"),
        ],
    },
];

impl Company {
    /// The collection of its customers, as the API takes it.
    pub(super) fn customers() -> Value {
        json!({
            "name": "customers", "label": "Customers", "purposes": ["service"], "subject": "own",
            "fields": [
                {"name": "name", "type": "name", "category": "pd:Name", "required": true},
                {"name": "email", "type": "email", "category": "pd:EmailAddress"},
                {"name": "phone", "type": "phone", "category": "pd:TelephoneNumber"},
                {"name": "birth_date", "type": "date", "category": "pd:BirthDate", "mask": "hidden"},
                {"name": "national_id", "type": "national_id", "category": "pd:NationalIdentificationNumber"},
                {"name": "address", "type": "address", "category": "pd:PhysicalAddress"},
            ],
        })
    }

    /// The collection of its orders: each is about the person of its customer.
    pub(super) fn orders() -> Value {
        json!({
            "name": "orders", "label": "Orders", "purposes": ["service"],
            "subject": {"through": "customer"},
            "fields": [
                {"name": "customer", "type": {"reference": "customers"}, "required": true},
                {"name": "what", "type": "text"},
                {"name": "total", "type": "decimal"},
                {"name": "ordered_on", "type": "date"},
            ],
        })
    }

    /// The external ids and fields of its customers.
    pub(super) fn people(&self) -> Vec<(String, Map<String, Value>)> {
        self.people
            .iter()
            .enumerate()
            .map(|(place, name)| (customer(place), self.person(place, name)))
            .collect()
    }

    fn person(&self, place: usize, name: &str) -> Map<String, Value> {
        let email: String = name
            .to_lowercase()
            .replace(' ', ".")
            .replace('ä', "ae")
            .replace('ö', "oe")
            .replace('ü', "ue");
        let (city, postal_code) = pick(&self.cities, place).unwrap_or_default();
        let street = pick(&self.streets, place).unwrap_or_default();
        let (year, month, day) = (1948 + place * 13 % 57, 1 + place * 7 % 12, 1 + place * 11 % 28);
        Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("email".to_owned(), json!(format!("{email}@example.org"))),
            ("phone".to_owned(), json!(format!("{}{}", self.phone, 101 + place * 37))),
            ("birth_date".to_owned(), json!(format!("{year}-{month:02}-{day:02}"))),
            (
                "national_id".to_owned(),
                json!(format!(
                    "{}-{:06}-{:04}",
                    self.country,
                    104_729 * (place + 3) % 1_000_000,
                    7919 * (place + 5) % 10_000
                )),
            ),
            (
                "address".to_owned(),
                json!({
                    "lines": [format!("{street} {}", 3 + place * 5)], "city": city,
                    "postal_code": postal_code, "country": self.country,
                }),
            ),
        ])
    }

    /// The external ids and fields of its orders, two for each customer.
    pub(super) fn order_lines(&self) -> Vec<(String, Map<String, Value>)> {
        (0..2 * self.people.len())
            .map(|place| {
                let (what, total) = pick(&self.orders, place * 3 / 2).unwrap_or_default();
                let day = format!("2026-{:02}-{:02}", 1 + place % 9, 1 + place * 5 % 28);
                let fields = Map::from_iter([
                    ("customer".to_owned(), json!({ "external_id": customer(place / 2) })),
                    ("what".to_owned(), json!(what)),
                    ("total".to_owned(), json!(total)),
                    ("ordered_on".to_owned(), json!(day)),
                ]);
                (format!("O-{}", 5001 + place), fields)
            })
            .collect()
    }
}

fn customer(place: usize) -> String {
    format!("C-{}", 1001 + place)
}

fn pick<T: Copy>(from: &[T], place: usize) -> Option<T> {
    from.iter().cycle().nth(place).copied()
}
