"""The few line icons of the frame, as SVG paths on a 16 × 16 grid."""

ICONS: dict[str, str] = {
    "brand": "M1.5 11.5 5.5 6.5l3 2.5 5-6M11 3h3v3",
    "desk": "M2 13.5V8.5M6 13.5V4.5M10 13.5V7M14 13.5V2.5",
    "alerts": "M4 11.5V7a4 4 0 0 1 8 0v4.5M2.5 11.5h11M6.5 14h3",
    "decisions": "M8 2v4M8 6l-4 4M8 6l4 4M4 10v4M12 10v4",
    "trades": "M2 5.5h11M10 2.5l3 3-3 3M14 10.5H3M6 7.5l-3 3 3 3",
    "orders": "M3.5 2h9v12h-9zM6 5.5h4M6 8h4M6 10.5h2.5",
    "models": "M1.5 13.5h13M1.5 11c3.5 0 4-8.5 6.5-8.5s3 8.5 6.5 8.5",
    "sources": "M2.5 8h7M7 5l3 3-3 3M10 2.5h3.5v11H10",
    "brokers": "M2 6.5 8 2.5l6 4M3.5 6.5v6M6.5 6.5v6M9.5 6.5v6M12.5 6.5v6M2 13.5h12",
    "health": "M1.5 8.5h3l2-5 3 9 2-4h3",
    "settings": "M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M10.5 3v3M5.5 10v3",
    "theme": "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
    "leave": "M7 2.5H2.5v11H7M6.5 8h7M10.5 5l3 3-3 3",
    "more": "M3 8h.01M8 8h.01M13 8h.01",
}
