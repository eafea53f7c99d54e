"""How values are drawn: the range of an indicator, the strips of a trend."""
