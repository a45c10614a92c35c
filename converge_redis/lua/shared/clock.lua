-- The server's time, in microseconds since 1970. Doubles hold them exactly until the year 2255.
local now
do
  local time = redis.call("TIME")
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Lua's own conversion of a number to text keeps 14 digits only.
local function int(number)
  return string.format("%.0f", number)
end
