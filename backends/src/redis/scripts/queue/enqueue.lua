-- Queues an event that is due at once.
queue_value(ARGV[1], ARGV[2])
return 1
