package sms_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/carebell/carebell/channels/sms"
)

// TestOptWords: what people write to stop texts, or to have them again, and what only looks like it.
func TestOptWords(t *testing.T) {
	t.Parallel()
	stops := []string{
		"R", "T", "TD", "N", "退订", "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT", "opt-out", "Opt Out.",
		"stop", " Stop. ", "ｓｔｏｐ", "ＴＤ", "ｒ", "“退订”", "退订。", "\u3000退订\u3000", "退订\r\n", "\ufeffstop", "(STOP)", "*STOP*", "stop 🙏", "S T O P", "s.t.o.p",
		"Stop. Thank you", "please stop", "Stop please!", "STOP ALL", "STOP STOP STOP", "stop now", "STOP!!!!", "stopp", "Stop, thanks.", "Hi, please stop. Thanks!", "ok stop",
		"remove", "REMOVE ME", "remove me from your list", "Take me off your list", "take me off this mailing list please", "unsubscribe me", "Please unsubscribe me, thank you",
		"stop texting me", "Stop sending me messages", "please stop sending these texts", "Stop all messages", "stop this", "Quit texting me", "no more texts", "No more messages please",
		"do not text me", "don't text me again", "Don’t contact me anymore", "Do not send me any more messages", "don't send me texts", "leave me alone", "opt me out", "I want to opt out",
		"I would like to unsubscribe", "can you stop texting me", "Could you please stop?", "How do I unsubscribe?", "reply STOP", "STOP to end", "cancel please", "Cancel my subscription",
		"cancel all messages", "revoke my consent", "stop\n--\nSent from my phone", "STOP\n\nSent from my iPhone", "Stop spamming me", "arret", "ARRÊT", "Abmelden",
		"TD退订", "T退订", "R退订", "退订TD", "回T退订", "回复TD", "td 谢谢", "退订 谢谢", "请退订", "退订，谢谢！", "退订吧", "我要退订", "帮我退订一下谢谢"[:len("帮我退订")], "麻烦退订", "怎么退订", "如何退订？",
		"别发了", "不要再发了", "别再发了", "别再发短信了", "不要给我发短信", "不要再给我发广告了", "请不要再发短信给我", "以后别发了", "别再给我发信息了，谢谢", "不用再发了", "拒收", "拒收短信", "拒绝接收",
		"取消订阅", "取消短信", "请取消推送", "停止发送", "停止推送", "请停止发送短信", "停止", "不要打扰我", "请勿打扰", "别烦我", "别骚扰我", "不要联系我了", "不想再收到你们的短信", "【微信】退订", "發自 退訂"[len("發自 "):],
		"退訂", "取消訂閱", "不要再發了", "別再發了", "別發了", "請勿打擾", "停止發送", "不要再傳簡訊給我", "拒收簡訊", "請取消訂閱，謝謝", "別煩我", "ＳＴＯＰ　ＡＬＬ",
	}
	for _, w := range stops {
		if out, in, more := sms.OptWord(w); !out || in || more {
			t.Errorf("%q: got stop %t, start %t, more %t; it is a stop", w, out, in, more)
		}
	}
	for _, w := range []string{
		"START", "unstop", "ＳＴＡＲＴ ", "Start please", "start. thanks", "resume", "opt in", "OPT-IN", "subscribe", "Start sending me messages again", "恢复订阅", "重新订阅", "取消退订", "請恢復訂閱", "订阅，谢谢",
	} {
		if out, in, more := sms.OptWord(w); out || !in || more {
			t.Errorf("%q: got stop %t, start %t, more %t; it is a start", w, out, in, more)
		}
	}
	for _, w := range []string{ // a stop, and something that a person must read
		"STOP. The brakes squeal again, call me", "Stop! I sold this car last year", "I sold the car. Please stop texting me", "STOP\nYou never fixed my car", "车卖了，别再发了", "退订。车已经卖了", "我换号了，请取消订阅",
		"Unsubscribe. I have told you three times.", "This is not Mr. Wang, take me off your list",
	} {
		if out, in, more := sms.OptWord(w); !out || in || !more {
			t.Errorf("%q: got stop %t, start %t, more %t; it is a stop and more", w, out, in, more)
		}
	}
	for _, w := range []string{
		"", "stop by tomorrow", "please stop by tomorrow", "Can I stop by on Monday?", "don't stop by on Monday", "I will stop by at 5", "the car does not stop", "The car won't stop making noise", "non stop", "don't stop",
		"Please don't stop, I like them", "never stop", "bus stop", "it stops at the light", "Stop light is broken", "engine stop start fault", "start stop system is broken", "I can't stop it from rattling",
		"The end of the month is fine", "at the end", "cancel my appointment", "Cancel tomorrow's service please", "can you cancel my appointment on Friday", "remove the old tyres please", "remove the roof box", "quit smoking",
		"the engine quit on me", "end of the week?", "take me to the airport", "pick me up and drop me off", "Don't bother, I'll come in tomorrow", "Don't call me, text me", "don't send the bill to my office", "opt for the cheaper tyres",
		"no", "No thanks", "yes", "ok", "thanks", "Thank you!", "不", "不用", "不用了，谢谢", "好的", "谢谢", "Y", "123", "N/A for me this time",
		"不要退订", "我没有退订", "别忘了发地址给我", "不要发票", "别推迟了", "停在门口", "车停不下来", "刹车停不住", "取消预约", "取消明天的保养", "我想取消周五的预约", "不要发到旧地址", "别打电话，发短信", "不用联系我也知道地址", "明天停车方便吗",
		"保养时间推到下周", "别着急", "不要紧", "拒绝过户怎么办", "t恤还有吗", "R18轮胎有吗", "停止营业了吗", "取消了吗？我明天能来", "发动机不停抖动", "不要再涨价了",
		"I have been waiting for three weeks for a part, nobody calls me back, the loan car smells, and when I finally got my car back it would not stop properly at the first light. This is not acceptable.",
		strings.Repeat("R", 1000), strings.Repeat("stop by ", 200), strings.Repeat("请", 3000),
	} {
		if out, in, _ := sms.OptWord(w); out || in {
			t.Errorf("%q: got stop %t, start %t; it is neither", w, out, in)
		}
	}
}

func FuzzOptWord(f *testing.F) {
	f.Add("Stop. Thank you")
	f.Add("請不要再發了")
	f.Fuzz(func(t *testing.T, text string) {
		if out, in, more := sms.OptWord(text); out && in || more && !out || !utf8.ValidString(text) && in {
			t.Fatalf("%q: stop %t, start %t, more %t", text, out, in, more)
		}
	})
}
