"""For other people's libraries, each of which is an extra of its own:
hpool.contrib.opentelemetry and hpool.contrib.prometheus."""
