-- get: reads a value.
-- KEYS[1]   the value
-- Reply     {"FOUND", value} | {"ABSENT"}

local value = KEYS[1]

local found = redis.call("GET", value)
return found and { "FOUND", found } or { "ABSENT" }
