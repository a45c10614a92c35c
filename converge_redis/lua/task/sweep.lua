-- sweep: applies what time has done to tasks, a bounded part of it.
-- KEYS      the shard's keys (shared/shard.lua)
-- Reply     {"MORE"}: call again | {"DONE"}
--@include shared/time

return { sweep() and "MORE" or "DONE" }
