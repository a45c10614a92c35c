-- sweep: applies what time has done to tasks, a bounded part of it.
-- KEYS[1]   the shard (shared/shard.lua)
-- Reply     {"MORE"}: call again | {"DONE"}
--@include shared/time

local _, more = sweep()
return { more and "MORE" or "DONE" }
