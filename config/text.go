package config

import (
	"fmt"

	"idtap/internal/text"
)

// Text is a sentence in both languages, see package text.
type Text = text.Text

// valueError is why a value cannot be read from its text.
type valueError struct{ Text }

func (e *valueError) Error() string { return e.En }

func wrong(format string, args ...any) error { return &valueError{say(format, args...)} }

// say fills an English format and its Chinese one.
func say(format string, args ...any) Text {
	zh, ok := chinese[format]
	if !ok {
		zh = format
	}
	return Text{Zh: fmt.Sprintf(zh, args...), En: fmt.Sprintf(format, args...)}
}

// chinese has every format of this package, with the same verbs.
var chinese = map[string]string{
	// The file.
	"%s is not read: its name must end in .yaml":                   "未读取 %s：文件名须以 .yaml 结尾",
	"cannot be read: %s":                                           "无法读取：%s",
	"not UTF-8 text: save the file as UTF-8":                       "不是 UTF-8 文本：请将文件另存为 UTF-8 编码",
	"not YAML: %s":                                                 "不是 YAML：%s",
	"a second document; one file holds one configuration":          "出现第二个文档；一个文件只放一份配置",
	"no such key; the nearest is %s":                               "没有这个键；最接近的是 %s",
	"want keys below it, such as %s":                               "其下应为键，例如 %s",
	"want a list":                                                  "应为列表",
	"want one value here, not a list or keys":                      "此处应为单个值，不是列表或键",
	"anchors, aliases and tags are not used here; write the value": "此处不用锚点、别名和标签；请直接写值",
	"want a YAML list such as [{name: front, driver: serial}]":     "应为 YAML 列表，例如 [{name: front, driver: serial}]",

	// A reader's port.
	"%q: want auto, 0400:c35a, 0400:c35a@1-2 (port path) or 0400:c35a#SERIAL": "%q：应为 auto、0400:c35a、0400:c35a@1-2（端口路径）或 0400:c35a#序列号",

	// Values.
	"%q is neither true nor false":                                           "%q 既不是 true 也不是 false",
	"%q is not a whole number":                                               "%q 不是整数",
	"%q is not a whole number from 0 to %d":                                  "%q 不是 0 到 %d 的整数",
	"%q is not a number of days":                                             "%q 不是天数",
	"%q is not a duration such as 150ms, 5m, 72h or 400d":                    "%q 不是时长，应如 150ms、5m、72h 或 400d",
	"%q is not a size such as 20MiB":                                         "%q 不是大小，应如 20MiB",
	"%q is not a line speed: want auto, 115200, 57600, 38400, 19200 or 9600": "%q 不是波特率：应为 auto、115200、57600、38400、19200 或 9600",
	"a %s cannot be set from text":                                           "%s 不能由文本设置",
	"%q: want %s":                                                            "%q：应为 %s",

	// What the parts require.
	"is missing":                                                           "缺少",
	"is missing: want %s or %s":                                            "缺少：应为 %s 或 %s",
	"%q: want 1 to 40 of a-z, 0-9 and -":                                   "%q：应为 1 到 40 个 a-z、0-9 和 -",
	"%q: want 1 to 40 of a-z, 0-9 and _":                                   "%q：应为 1 到 40 个 a-z、0-9 和 _",
	"%q: want 1 to 64 letters, digits, _ and -":                            "%q：应为 1 到 64 个字母、数字、_ 和 -",
	"%q: want the six digits of a county-level division, in quotes":        "%q：应为县级区划的六位代码，并加引号",
	"%q: want 2 to 6 digits of a division":                                 "%q：应为区划代码的前 2 到 6 位",
	"%q: want 9 or 12 digits":                                              "%q：应为 9 位或 12 位",
	"%q is no time zone; Asia/Shanghai is the usual one":                   "%q 不是时区；通常为 Asia/Shanghai",
	"%q is taken by an earlier reader":                                     "%q 已被前面的读卡器使用",
	"%q: want four bytes in hex":                                           "%q：应为四个字节的十六进制",
	"%q: want host:port":                                                   "%q：应为 主机:端口",
	"%q: want host:port, e.g. 127.0.0.1:4222":                              "%q：应为 主机:端口，例如 127.0.0.1:4222",
	"%q: want host:port, e.g. 127.0.0.1:7643":                              "%q：应为 主机:端口，例如 127.0.0.1:7643",
	"%q: want an origin such as https://desk.example.cn":                   "%q：应为来源，例如 https://desk.example.cn",
	"want 24 to 255":                                                       "应为 24 到 255",
	"is for driver %s only":                                                "只用于 driver: %s",
	"want 20ms to 5s":                                                      "应为 20ms 到 5s",
	"is longer than outbox.retain, which is how long it can be remembered": "比 outbox.retain 长，而记忆只能保留到那么久",
	"is shorter than outbox.retain":                                        "比 outbox.retain 短",
	"is missing, and neither XDG_STATE_HOME, HOME nor LOCALAPPDATA is set: write it, e.g. /var/lib/idtap": "缺少，且 XDG_STATE_HOME、HOME、LOCALAPPDATA 均未设置：请写明，例如 /var/lib/idtap",
	"%q is relative to wherever a command is started: write the whole path":                               "%q 是相对路径，随命令启动的位置而变：请写完整路径",
	"min_age is above max_age": "min_age 大于 max_age",
	"want at least 1MiB":       "至少为 1MiB",
	"want at least 1h":         "至少为 1h",
	"want 0 to 1000":           "应为 0 到 1000",
	"want 1, 3 or 5":           "应为 1、3 或 5",
	"want nats://host:port or tls://host:port, comma-separated":                                 "应为 nats://主机:端口 或 tls://主机:端口，多个用逗号分隔",
	"holds credentials; use creds, nkey or user with password_file":                             "其中有登录信息；请改用 creds、nkey，或 user 加 password_file",
	"cert and key go together":                                                                  "cert 和 key 要一起设置",
	"needs password_file":                                                                       "需要 password_file",
	"%q is beyond loopback: set desk_page.tls and desk_page.token_file, or listen on 127.0.0.1": "%q 超出本机：请设置 desk_page.tls 和 desk_page.token_file，或监听 127.0.0.1",

	// Warnings.
	"desk.division is not set: subjects carry _ and relations are unknown; set the county's six digits":                                "未设置 desk.division：主题中为 _，人户关系未知；请填县级区划六位代码",
	"every key of nats.encrypt_to is limited by hukou: an event that none covers is set aside and never sent; add a key without hukou": "nats.encrypt_to 的每把密钥都限定了 hukou：没有密钥覆盖的事件会被搁置、永不发送；请加一把不限 hukou 的密钥",
	"environment variable %s is no configuration key; the nearest is %s":                                                               "环境变量 %s 不是配置键；最接近的是 %s",
}
