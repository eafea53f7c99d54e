"""Ports and adapters of the dashboard's data; nothing here knows Panel or Bokeh."""
