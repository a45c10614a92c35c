-- The server's time in microseconds since 1970, as a number and as text. A double is exact until the year
-- 2255.
local now, now_text
do
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
  now_text = time[1] .. string.sub("00000" .. time[2], -6)
end

-- Return an integer as text. Lua's own conversion keeps 14 digits only.
local function int(number)
  if number == now then
    return now_text
  end
  return string.format("%.0f", number)
end
