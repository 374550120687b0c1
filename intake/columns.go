package intake

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// field is what a column is about.
type field uint8

const (
	none field = iota
	fID
	fDealer
	fName
	fGender
	fSalutation
	fPhone
	fEmail
	fLocale
	fZone
	fBirthday
	fCalendar // solar or lunar
	fGrade
	fAdvisor
	fHousehold
	fTags
	fSMS
	fMail
	fSMSAds
	fMailAds
	fVehicle // first of the vehicle's
	fPlate
	fMake
	fModel
	fYear
	fDelivered
	fVisitOn
	fVisitKM
	fVisitOrder
	fVisitKind
	fKM
	fKMOn
	fInsurance
	fInspection
	fWarranty
	fWarrantyKM
	fSold
	fields
)

// fieldNames are the names that a map of columns may use.
var fieldNames = [fields]string{
	fID: "id", fDealer: "dealer", fName: "name", fGender: "gender", fSalutation: "salutation", fPhone: "phone", fEmail: "email",
	fLocale: "locale", fZone: "time_zone", fBirthday: "birthday", fCalendar: "birthday_type", fGrade: "grade", fAdvisor: "advisor",
	fHousehold: "household", fTags: "tags", fSMS: "consent_sms", fMail: "consent_email", fSMSAds: "consent_sms_commercial",
	fMailAds: "consent_email_commercial", fVehicle: "vehicle_id", fPlate: "plate", fMake: "make", fModel: "model", fYear: "model_year",
	fDelivered: "delivered_on", fVisitOn: "last_visit_on", fVisitKM: "last_visit_km", fVisitOrder: "last_visit_order",
	fVisitKind: "last_visit_kind", fKM: "odometer", fKMOn: "odometer_on", fInsurance: "insurance_until", fInspection: "inspection_due",
	fWarranty: "warranty_until", fWarrantyKM: "warranty_km", fSold: "sold_on",
}

// headers are the columns that are known without a map, beside fieldNames. The first of some are those of vCards, so that rejected
// cards, which come back as a table, can be read again.
var headers = map[field][]string{
	fID:         {"uid", "客户编号", "客户号", "客户ID", "客户代码", "客户编码", "会员号", "会员编号", "customer", "customer id", "customer no", "customer number", "client id"},
	fDealer:     {"门店", "店代码", "经销商", "经销商代码", "4S店", "store", "dealer id", "dealer code"},
	fName:       {"fn", "客户姓名", "姓名", "客户名称", "车主", "车主姓名", "customer name", "full name"},
	fGender:     {"性别", "sex"},
	fSalutation: {"称呼", "称谓"},
	fPhone:      {"tel", "手机号", "手机", "手机号码", "电话", "联系电话", "移动电话", "联系方式", "mobile", "mobile phone", "phone number", "cell", "telephone"},
	fEmail:      {"邮箱", "电子邮箱", "电子邮件", "邮件地址", "email address", "mail"},
	fLocale:     {"lang", "语言", "language"},
	fZone:       {"tz", "时区", "timezone"},
	fBirthday:   {"bday", "生日", "出生日期", "出生年月日", "birth date", "date of birth", "dob"},
	fCalendar:   {"生日类型", "生日历法", "历法", "calendar"},
	fGrade:      {"客户等级", "等级", "级别", "客户级别", "customer grade", "level"},
	fAdvisor:    {"服务顾问", "顾问", "专属顾问", "service advisor", "consultant"},
	fHousehold:  {"家庭", "家庭编号", "household id"},
	fTags:       {"categories", "标签", "客户标签"},
	fSMS:        {"短信同意", "接受短信", "同意短信", "sms consent", "sms opt in"},
	fMail:       {"邮件同意", "接受邮件", "同意邮件", "email consent", "email opt in"},
	fSMSAds:     {"短信营销同意", "sms marketing consent"},
	fMailAds:    {"邮件营销同意", "email marketing consent"},
	fVehicle:    {"车架号", "VIN", "VIN码", "底盘号", "车辆识别代号", "车辆识别码", "vehicle", "chassis number"},
	fPlate:      {"车牌号", "车牌", "车牌号码", "plate number", "license plate", "registration"},
	fMake:       {"品牌", "车辆品牌", "brand"},
	fModel:      {"车型", "车系", "车辆型号", "vehicle model"},
	fYear:       {"年款", "车型年款", "年份", "year"},
	fDelivered:  {"购车日期", "交车日期", "提车日期", "销售日期", "delivery date", "purchase date", "sale date"},
	fVisitOn:    {"上次进厂日期", "上次进厂", "最近进厂日期", "上次保养日期", "最后进厂日期", "last visit", "last visit date", "last service date"},
	fVisitKM:    {"上次进厂里程", "最近进厂里程", "上次保养里程", "进厂里程", "last visit odometer", "last service km", "last visit mileage"},
	fVisitOrder: {"上次工单号", "工单号", "repair order", "ro number"},
	fVisitKind:  {"上次进厂类型", "维修类型", "visit kind"},
	fKM:         {"里程", "当前里程", "行驶里程", "公里数", "mileage", "km"},
	fKMOn:       {"里程日期", "里程登记日期", "odometer date"},
	fInsurance:  {"保险到期日", "保险到期", "交强险到期日", "保险到期日期", "insurance expiry", "insurance end"},
	fInspection: {"年检到期日", "年检到期", "年审到期日", "年检日期", "inspection date", "inspection expiry"},
	fWarranty:   {"质保到期日", "质保到期", "保修到期日", "warranty expiry", "warranty end"},
	fWarrantyKM: {"质保里程", "保修里程"},
	fSold:       {"卖车日期", "售出日期", "车辆转出日期", "sold date"},
}

// folded is a header as it is compared: without case, blanks, punctuation, full-width forms, and what stands in brackets.
func folded(header string) string {
	header = strings.TrimPrefix(strings.TrimSpace(header), "'")
	var b strings.Builder
	depth := 0
	for _, r := range strings.ToLower(header) {
		if r >= '\uff01' && r <= '\uff5e' {
			r -= 0xfee0
		}
		switch {
		case r == '(' || r == '[' || r == '【':
			depth++
		case r == ')' || r == ']' || r == '】':
			depth--
		case depth > 0, strings.ContainsRune(" _-.:*#/\u3000\u00a0\ufeff", r):
		default:
			b.WriteRune(r)
		}
	}
	return strings.ToLower(b.String())
}

// knownColumns is the field of each header, with those of the caller's map, which win.
func knownColumns(more map[string]string) (map[string]field, error) {
	known := map[string]field{}
	for f := fID; f < fields; f++ {
		known[folded(fieldNames[f])] = f
		for _, h := range headers[f] {
			known[folded(h)] = f
		}
	}
	for header, name := range more {
		f := field(max(0, slices.Index(fieldNames[:], name)))
		if f == none && name != "-" {
			return nil, fmt.Errorf("the map of columns says %q is %q: write one of %s, or - to leave the column out",
				header, name, strings.Join(fieldNames[fID:], ", "))
		}
		known[folded(header)] = f
	}
	return known, nil
}

// ReadMap reads a map of columns for Options.Columns: a line for each, `header: field`; blank lines and lines with # are left out.
func ReadMap(r io.Reader) (map[string]string, error) {
	columns := map[string]string{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexAny(line, ":=")
		if i < 1 || strings.TrimSpace(line[i+1:]) == "" {
			return nil, fmt.Errorf("the map of columns, line %d: write `header: field`", n)
		}
		columns[strings.TrimSpace(line[:i])] = strings.TrimSpace(line[i+1:])
	}
	if _, err := knownColumns(columns); err != nil {
		return nil, err
	}
	return columns, lines.Err()
}
