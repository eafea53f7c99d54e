"""Everything that Steam asks of a RabbitMQ broker besides messages: its set-up and accounts."""
